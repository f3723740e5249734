"""A typed client of the score endpoint, and requests made from canonical tables."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from data_contracts.errors import RequestError, ServiceError, SourceError
from data_contracts.folder import TableFolder
from data_contracts.messages import ErrorBody, ScoreRequest, faults
from data_contracts.replies import BatchResponse, Champion, Champions, ExplainResponse, ScoreResponse
from data_contracts.tables import APPLICATIONS, CONSENTS, EVENT_TABLES

Request = ScoreRequest | Mapping[str, Any] | str | bytes
"""A request, or its fields, or its JSON."""

LONGEST_PAUSE = 30.0
_MAY_PASS = (429, 503, 504)  # statuses after which the same request may find an answer


class ScoreClient:
    """Asks a running service for scores, and asks again where that may help.

    A request that was lost on its way, or met a full line or a log that cannot be reached, is sent again after a while:
    the service gives a retry the first answer, so nothing is decided twice.

    Parameters
    ----------
    base_url : str
        Such as `http://127.0.0.1:3000`.
    timeout : float, default 10
        Seconds to wait for an answer, each time.
    decision_point : str, default "application"
        Which champion to ask.
    retries : int, default 3
        How often to ask again.
    backoff : float, default 0.2
        Seconds before the first retry, doubled with each; at least what the service asks for in `Retry-After`, at most
        `LONGEST_PAUSE`.
    headers : mapping of str to str, optional
        Sent with each request, such as an API key.
    authority : Path, optional
        PEM file of the certificate authority that signed the service's certificate, if no public one did.

    Examples
    --------
    >>> with ScoreClient("http://127.0.0.1:3000") as client:  # doctest: +SKIP
    ...     client.score({"application": application, "inquiries": []}).pd
    """

    def __init__(
        self,
        base_url: str,
        timeout: float = 10.0,
        decision_point: str = "application",
        *,
        retries: int = 3,
        backoff: float = 0.2,
        headers: Mapping[str, str] | None = None,
        authority: Path | None = None,
    ) -> None:
        trusted = True if authority is None else ssl.create_default_context(cafile=authority)
        self._http = httpx.Client(
            base_url=base_url, timeout=timeout, trust_env=False, headers=dict(headers or {}), verify=trusted
        )
        self._path = f"/v1/{decision_point}"
        self._retries = retries
        self._backoff = backoff

    def score(self, request: Request) -> ScoreResponse:
        """Score one applicant.

        Raises
        ------
        RequestError
            The request breaks its contract; the message names every faulty field.
        ServiceError
            The service cannot be reached or cannot answer now.
        """
        return ScoreResponse.model_validate_json(self._post("score", _text(request)))

    def score_customer(self, customer_id: str) -> ScoreResponse:
        """Score the newest application of a customer whom the service has in its snapshot; errors as in `score`."""
        return self.score({"customer_id": customer_id})

    def score_batch(self, requests: Sequence[Request]) -> BatchResponse:
        """Score up to 1,000 applicants; who cannot be scored is in `faults`. Errors as in `score`."""
        bodies = [_text(request) for request in requests]
        whole = b", ".join(body.encode() if isinstance(body, str) else body for body in bodies)
        return BatchResponse.model_validate_json(self._post("score-batch", b'{"requests": [' + whole + b"]}"))

    def explain(self, request: Request) -> ExplainResponse:
        """Score one applicant with all attributions; errors as in `score`."""
        return ExplainResponse.model_validate_json(self._post("explain", _text(request)))

    def champions(self) -> list[Champion]:
        """Which bundle answers at which decision point."""
        return Champions.model_validate_json(self._asked("GET", "/v1/champions")).champions

    def _post(self, what: str, body: str | bytes) -> bytes:
        return self._asked("POST", f"{self._path}/{what}", body)

    def _asked(self, method: str, path: str, body: str | bytes | None = None) -> bytes:
        headers = {} if body is None else {"Content-Type": "application/json; charset=utf-8"}
        for attempt in range(self._retries + 1):
            pause = self._backoff * 2**attempt
            try:
                reply = self._http.request(method, path, content=body, headers=headers)
            except httpx.HTTPError as fault:
                error: RequestError | ServiceError = ServiceError(
                    f"The service at {self._http.base_url} gives no answer ({fault or type(fault).__name__}). "
                    "Start it with `lendwell serve`, or name another address."
                )
            else:
                if reply.status_code == 200:
                    return reply.content
                error = _error(reply)
                if reply.status_code not in _MAY_PASS:
                    raise error
                pause = max(pause, _seconds(reply.headers.get("Retry-After")))
            if attempt == self._retries:
                raise error
            time.sleep(min(pause, LONGEST_PAUSE))
        raise ServiceError(f"Give a number of retries from 0, not {self._retries}.")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> ScoreClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def request_from_tables(folder: TableFolder, application_id: str) -> ScoreRequest:
    """Make the request for an application out of canonical tables: what was known of the customer at `applied_at`.

    A corrected record goes with every version known by then, as the request's contract has it: the newest one counts.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables; a table that it lacks is a missing source of the request.
    application_id : str
        Which application to score.

    Raises
    ------
    RequestError
        The folder has no such application, or its records break the request's contract.
    """
    return requests_from_tables(folder, [application_id])[0]


def requests_from_tables(folder: TableFolder, application_ids: Sequence[str]) -> list[ScoreRequest]:
    """Make the requests for several applications, reading each table once; see `request_from_tables`."""
    applications = {
        row["application_id"]: row for row in _rows(folder, APPLICATIONS.name, "application_id", application_ids)
    }
    if len(applications) < len(set(application_ids)):
        raise RequestError(f"{folder.path} has no application of that id; its table `applications` lists them.")
    customers = sorted({row["customer_id"] for row in applications.values()})
    records: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for table in EVENT_TABLES:
        if table.name in folder.tables:
            records[table.name] = {}
            for row in _rows(folder, table.name, "customer_id", customers):
                records[table.name].setdefault(row.pop("customer_id"), []).append(row)
    consents = _consents(folder, applications, customers)
    return [_request(applications[name], records, consents.get(name)) for name in application_ids]


def _consents(
    folder: TableFolder, applications: dict[str, dict[str, Any]], customers: Sequence[str]
) -> dict[str, dict[str, bool]]:
    """Whose records each customer agreed to the use of when the application was made, where the lender asks."""
    if CONSENTS.name not in folder.tables or not applications:
        return {}
    import pandas as pd

    from policy.rules.facts import asked_about, consents_at

    given = pd.DataFrame(_rows(folder, CONSENTS.name, "customer_id", customers), columns=list(CONSENTS.names))
    by_id = pd.DataFrame(list(applications.values())).set_index("application_id")
    agreed = consents_at(by_id, given, asked_about(folder))
    agreed.columns = agreed.columns.str.removeprefix("consent_")
    return {str(name): {str(who): bool(yes) for who, yes in row.items()} for name, row in agreed.iterrows()}


def _request(
    application: dict[str, Any],
    records: dict[str, dict[str, list[dict[str, Any]]]],
    consents: dict[str, bool] | None,
) -> ScoreRequest:
    as_of = application["applied_at"]
    body: dict[str, Any] = {"application": application, "consents": consents}
    for table, rows in records.items():
        own = rows.get(application["customer_id"], [])
        body[table] = [row for row in own if row["known_at"] <= as_of and row["occurred_at"] <= as_of]
    try:
        return ScoreRequest.model_validate(body)
    except ValidationError as error:
        raise RequestError(
            "The application's records break the request's contract; mend them with `lendwell validate`. "
            + "; ".join(f"{fault.field}: {fault.problem}" for fault in faults(error))
        ) from None


def _rows(folder: TableFolder, table: str, column: str, values: Sequence[str]) -> list[dict[str, Any]]:
    files = folder.files(table)
    try:
        # A folder of the caller's that is called `year=2024` is no column.
        found = pq.read_table(files, partitioning=None, filters=[(column, "in", list(values))])
    except (pa.ArrowException, OSError) as fault:
        raise SourceError(f"Table {table} in {folder.path} cannot be read ({fault}); write it anew.") from fault
    rows = found.to_pylist()
    return [{name: None if cell != cell else cell for name, cell in row.items()} for row in rows]  # NaN is missing


def _text(request: Request) -> str | bytes:
    if isinstance(request, ScoreRequest):
        return request.model_dump_json(exclude_none=True)
    if isinstance(request, str | bytes):
        return request
    try:
        return json.dumps(request, default=_iso)
    except (TypeError, ValueError) as fault:
        raise RequestError(f"The request cannot be written as JSON ({fault}).") from None


def _iso(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"a {type(value).__name__} has no place in a request")


def _seconds(retry_after: str | None) -> float:
    """Seconds of a `Retry-After`; 0 where there is none or it is a date, which this service does not send."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0


def _error(reply: httpx.Response) -> RequestError | ServiceError:
    try:
        detail = ErrorBody.model_validate_json(reply.content).error
    except ValidationError:
        return ServiceError(f"The service answered {reply.status_code} without saying why; see its log.")
    told = "; ".join([detail.message, *(f"{fault.field}: {fault.problem}" for fault in detail.fields)])
    if reply.status_code in (408, 429) or reply.status_code >= 500:
        return ServiceError(f"The service answers {reply.status_code}: {told}")
    return RequestError(f"The service refuses the request ({reply.status_code}): {told}")
