"""A batch of applicants: each is scored, logged and answered as if it came alone; a fault names its applicant."""

from __future__ import annotations

import asyncio

import msgspec

from data_contracts.messages import LONGEST_TEXT
from data_contracts.replies import MOST_APPLICANTS, ApplicantFault, BatchResponse
from serving.answering import Answer, Answerer
from serving.wire import Limits, Refusal

_LOGGED_AT_ONCE = 16  # applicants under way: while one is logged, the next is scored
_OF_ALL = (503, 404)  # statuses that the next applicant would get as well


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[msgspec.Raw]


class _Named(msgspec.Struct):
    application: _Application


class _Application(msgspec.Struct):
    application_id: str


def split(body: bytes) -> list[bytes]:
    """The requests of a batch as they were sent, unread; `Refusal` where it is no batch."""
    try:
        found = msgspec.json.decode(body, type=_Split).requests
    except msgspec.ValidationError:
        raise Refusal(
            422, "contract_broken", 'A batch is {"requests": [...]} with a score request for each applicant.'
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refusal(400, "invalid_json", "The body is not JSON.") from None
    if not 1 <= len(found) <= MOST_APPLICANTS:
        raise Refusal(
            422, "contract_broken", f"A batch holds 1 to {MOST_APPLICANTS} applicants; this one holds {len(found)}."
        )
    return [bytes(one) for one in found]


async def answer_batch(
    answerer: Answerer, point: str, requests: list[bytes], limits: Limits
) -> tuple[BatchResponse, list[Answer]]:
    """Answer each applicant of a batch.

    Raises
    ------
    Refusal
        Where none can be answered: no such decision point, no champion, no log. What was answered until then is logged,
        and the same batch sent again gets those first answers.
    """
    answers: dict[int, Answer] = {}
    faults: dict[int, ApplicantFault] = {}
    numbered = iter(enumerate(requests))

    async def work() -> None:
        for place, body in numbered:
            try:
                if len(body) > limits.body_bytes:
                    raise Refusal(413, "body_too_long", f"The request is longer than {limits.body_bytes} bytes.")
                answers[place] = await answerer.answer(point, body)
            except Refusal as refusal:
                if refusal.status in _OF_ALL and refusal.detail.code != "unknown_customer":
                    raise
                faults[place] = ApplicantFault(place=place, application_id=_application_id(body), error=refusal.detail)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_LOGGED_AT_ONCE, len(requests))):
                group.create_task(work())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    given = [answers[place] for place in sorted(answers)]
    told = BatchResponse(
        answers=[answer.response for answer in given], faults=[faults[place] for place in sorted(faults)]
    )
    return told, given


def _application_id(body: bytes) -> str | None:
    """Whose request that was, where so much of it can be read."""
    try:
        name = msgspec.json.decode(body, type=_Named).application.application_id
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return name if len(name) <= LONGEST_TEXT else None
