"""A typed client of the score endpoint, and requests made from canonical tables."""

from __future__ import annotations

import json
import ssl
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
from data_contracts.messages import ErrorBody, ScoreRequest, ScoreResponse, faults
from data_contracts.tables import APPLICATIONS, EVENT_TABLES


class ScoreClient:
    """Asks a running service for scores.

    Parameters
    ----------
    base_url : str
        Such as `http://127.0.0.1:3000`.
    timeout : float, default 10
        Seconds to wait for an answer.
    decision_point : str, default "application"
        Which champion to ask.
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
        headers: Mapping[str, str] | None = None,
        authority: Path | None = None,
    ) -> None:
        trusted = True if authority is None else ssl.create_default_context(cafile=authority)
        self._http = httpx.Client(
            base_url=base_url, timeout=timeout, trust_env=False, headers=dict(headers or {}), verify=trusted
        )
        self._path = f"/v1/{decision_point}/score"

    def score(self, request: ScoreRequest | Mapping[str, Any] | str | bytes) -> ScoreResponse:
        """Score one applicant.

        Raises
        ------
        RequestError
            The request breaks its contract; the message names every faulty field.
        ServiceError
            The service cannot be reached or cannot answer now.
        """
        try:
            reply = self._http.post(
                self._path, content=_text(request), headers={"Content-Type": "application/json; charset=utf-8"}
            )
        except httpx.HTTPError as fault:
            raise ServiceError(
                f"The service at {self._http.base_url} gives no answer ({fault or type(fault).__name__}). "
                "Start it with `lendwell serve`, or name another address."
            ) from fault
        if reply.status_code == 200:
            return ScoreResponse.model_validate_json(reply.content)
        raise _error(reply)

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
    return [_request(applications[name], records) for name in application_ids]


def _request(application: dict[str, Any], records: dict[str, dict[str, list[dict[str, Any]]]]) -> ScoreRequest:
    as_of = application["applied_at"]
    body: dict[str, Any] = {"application": application}
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


def _text(request: ScoreRequest | Mapping[str, Any] | str | bytes) -> str | bytes:
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


def _error(reply: httpx.Response) -> RequestError | ServiceError:
    try:
        detail = ErrorBody.model_validate_json(reply.content).error
    except ValidationError:
        return ServiceError(f"The service answered {reply.status_code} without saying why; see its log.")
    told = "; ".join([detail.message, *(f"{fault.field}: {fault.problem}" for fault in detail.fields)])
    if reply.status_code in (408, 429) or reply.status_code >= 500:
        return ServiceError(f"The service answers {reply.status_code}: {told}")
    return RequestError(f"The service refuses the request ({reply.status_code}): {told}")
