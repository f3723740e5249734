"""Reading requests and writing replies: limits before parsing, refusals that name a code and no value that was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from data_contracts.messages import ErrorBody, ErrorDetail, Fault, faults, is_json


@dataclass(frozen=True)
class Limits:
    """How much the service takes upon itself.

    Parameters
    ----------
    body_bytes : int, default 2 MiB
        Longest body of a request for one applicant.
    batch_bytes : int, default 64 MiB
        Longest body of a batch.
    body_seconds : float, default 5
        Longest time in which the body must have arrived.
    most_reading : int, default 512
        Bodies that may be arriving at once.
    most_batches : int, default 2
        Batches that may be under way at once.
    most_waiting : int, default 64
        Requests that may have arrived and not be answered; one more is refused with 503.
    answer_seconds : float, default 5
        Longest time from the arrival of a request to its answer.
    batch_seconds : float, default 120
        The same of a batch.
    retry_seconds : int, default 2
        What `Retry-After` says where there is no answer now.
    """

    body_bytes: int = 2 * 1024 * 1024
    batch_bytes: int = 64 * 1024 * 1024
    body_seconds: float = 5.0
    most_reading: int = 512
    most_batches: int = 2
    most_waiting: int = 64
    answer_seconds: float = 5.0
    batch_seconds: float = 120.0
    retry_seconds: int = 2


class Refusal(Exception):  # noqa: N818 - the caller's fault or the moment's, not an error of the service
    """A reply that is no answer: status, code, message, and what is wrong with which field."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: list[Fault] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = ErrorDetail(code=code, message=message, fields=fields or [])
        self.headers = headers

    def reply(self) -> Response:
        """As it is sent."""
        return json_reply(self.status, ErrorBody(error=self.detail), self.headers)


def unavailable(code: str, message: str, limits: Limits, status: int = 503) -> Refusal:
    """A refusal after which the same request may be sent again."""
    return Refusal(status, code, message, headers={"Retry-After": str(limits.retry_seconds)})


def json_reply(status: int, body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """A message as it is sent."""
    return Response(body.model_dump_json(), status, headers, media_type="application/json")


def require_json(request: Request) -> None:
    """Refuse what is not declared as JSON in UTF-8."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Refusal(415, "unsupported_media_type", "Send the request as application/json in UTF-8.")


async def read_body(request: Request, most_bytes: int, seconds: float) -> bytes:
    """Read the body, but never more than the limit, whatever the headers promise."""
    # what is unread when the reply has gone must not be taken for the next request
    too_long = Refusal(
        413,
        "body_too_long",
        f"The body is longer than {most_bytes} bytes; send the records the features look at, not more.",
        headers={"Connection": "close"},
    )
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most_bytes:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise too_long
    except TimeoutError:
        raise Refusal(
            408,
            "body_too_slow",
            f"The body did not arrive within {seconds:g} seconds.",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise Refusal(400, "body_incomplete", "The connection ended before the body did.") from None
    return bytes(body)


def broken_contract(error: ValidationError) -> Refusal:
    """The refusal of a body that is no JSON, or breaks the contract."""
    fields = faults(error)
    if not is_json(error):
        return Refusal(400, "invalid_json", "The body is not JSON.", fields)
    return Refusal(422, "contract_broken", "The request breaks its contract; `fields` says where.", fields)
