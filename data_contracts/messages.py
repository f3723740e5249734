"""The score endpoint's request, and its refusals. Records are generated from `data_contracts.tables`: one truth.

A request is `{"application": {...}, "tradelines": [...], ...}` with the columns of the canonical tables:

* a table that is absent or null is a source the caller could not reach: its features are missing;
  an empty list is a source that was asked and holds nothing: its features are zero or missing as they declare;
* records carry no `customer_id`: the application names the customer;
* money is whole fen, as in the tables;
* timestamps are ISO 8601: with an offset they are converted to UTC, without one they are read as UTC;
* `consents` says what the customer has agreed to; rules read it, scores do not;
* `as_of` is `application.applied_at`. What lies after it is refused, because it could not be known; a `due_at` may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import itemgetter, le
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AllowInfNan,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from data_contracts.declare import Column, Table
from data_contracts.errors import RequestError
from data_contracts.tables import APPLICATIONS, CONSENTS, EVENT_TABLES

LONGEST_TEXT = 128
MOST_RECORDS_OF_A_TABLE = 5_000
MOST_RECORDS = 20_000
MOST_FAULTS_TOLD = 20

_INT64 = 2**63
_EPOCH, _EPOCH_UTC = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)
_MAY_LIE_AHEAD = frozenset({"due_at"})


class Fault(BaseModel):
    """One field of a request and what is wrong with it; never the value that was sent."""

    field: str
    problem: str


class ErrorDetail(BaseModel):
    """Why there is no answer."""

    code: str
    message: str
    fields: list[Fault] = []


class ErrorBody(BaseModel):
    """Body of every reply that is not an answer."""

    error: ErrorDetail


def _moment(value: Any) -> datetime:
    """ISO 8601 text or a datetime as UTC without a zone."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        # taking the zone off by `replace` would take longer than all the rest
        return moment if moment.utcoffset() is None else _EPOCH + (moment - _EPOCH_UTC)
    except (TypeError, ValueError, OverflowError):
        raise PydanticCustomError("timestamp", "not an ISO 8601 timestamp such as 2025-03-01T08:30:00Z") from None


class _MomentSchema:
    """Validates with `_moment`; pydantic's own `datetime` would also take numbers and keep the offset."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(_moment)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


Moment = Annotated[datetime, _MomentSchema]


def _annotation(column: Column) -> Any:
    """Type of a column in a request: as strict as the contract, so that nothing is silently converted."""
    if column.dtype == "timestamp":
        return Moment
    if column.dtype == "bool":
        return Annotated[bool, Field(strict=True)]
    if column.dtype == "string":
        if column.categories:
            return Literal[column.categories]
        return Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_TEXT)]
    if column.dtype == "int64":
        low = -_INT64 if column.low is None else int(column.low)
        high = _INT64 - 1 if column.high is None else int(column.high)
        return Annotated[int, Field(strict=True, ge=low, le=high)]
    return Annotated[float, Field(strict=True, ge=column.low, le=column.high), AllowInfNan(False)]


def record_model(table: Table, *, without: frozenset[str] = frozenset()) -> type[BaseModel]:
    """Model of one row of a table in a request: unknown fields, NaN and values out of range are refused.

    Examples
    --------
    >>> from data_contracts.tables import PAYMENTS
    >>> payment = record_model(PAYMENTS, without=frozenset({"customer_id"}))
    >>> payment(payment_id="p", loan_id="l", occurred_at="2025-03-01T08:00:00+08:00", known_at="2025-03-02", amount=100)
    Payments(payment_id='p', loan_id='l', instalment_id=None, occurred_at=datetime.datetime(2025, 3, 1, 0, 0), \
known_at=datetime.datetime(2025, 3, 2, 0, 0), amount=100)
    """
    fields: dict[str, Any] = {}
    for column in table.columns:
        if column.name in without:
            continue
        kind, description = _annotation(column), f"{column.meaning}{f', {column.unit}' if column.unit else ''}"
        default = Field(default=None, description=description) if column.nullable else Field(description=description)
        fields[column.name] = (kind | None if column.nullable else kind, default)
    name = "".join(word.capitalize() for word in table.name.split("_"))
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=table.meaning, **fields)


class _RefusedError(Exception):
    """Where in the request records contradict each other, and how."""

    def __init__(self, where: tuple[str | int, ...], problem: str) -> None:
        super().__init__(problem)
        self.where = where
        self.problem = problem


def _watch(table: Table) -> Callable[[list[BaseModel], datetime], None]:
    """Check of one table's records against `as_of` and against each other, which no single field can tell."""
    timed = tuple(c.name for c in table.columns if c.dtype == "timestamp" and c.name not in _MAY_LIE_AHEAD)
    further = tuple(name for name in timed if name not in ("occurred_at", "known_at"))
    key = table.row_key
    occurred_at, known_at, identified = itemgetter("occurred_at"), itemgetter("known_at"), itemgetter(*key)

    def sound(rows: list[dict[str, Any]], as_of: datetime) -> bool:
        """The same questions at once, as most requests have no fault: a third of the time."""
        known = list(map(known_at, rows))
        return (
            max(known) <= as_of
            and all(map(le, map(occurred_at, rows), known))
            and len(set(map(identified, rows))) == len(rows)
            and all(row[name] is None or row[name] <= as_of for name in further for row in rows)
        )

    def check(records: list[BaseModel], as_of: datetime) -> None:
        rows = [record.__dict__ for record in records]
        if sound(rows, as_of):
            return
        seen: set[tuple[Any, ...]] = set()
        for place, row in enumerate(rows):
            for name in timed:
                if row[name] is not None and row[name] > as_of:
                    raise _RefusedError(
                        (table.name, place, name), "lies after application.applied_at, so it cannot be known"
                    )
            if row["occurred_at"] > row["known_at"]:
                raise _RefusedError((table.name, place, "known_at"), "lies before occurred_at")
            identity = tuple([row[name] for name in key])
            if identity in seen:
                raise _RefusedError((table.name, place, key[0]), f"an earlier record has the same {', '.join(key)}")
            seen.add(identity)

    return check


_CHECKS = {table.name: _watch(table) for table in EVENT_TABLES}


EXAMPLE: dict[str, Any] = {
    "application": {
        "application_id": "A1",
        "customer_id": "C1",
        "applied_at": "2024-05-01T09:30:00+08:00",
        "product": "emergency_cash",
        "amount_requested": 300_000,
        "term_months": 3,
    },
    "inquiries": [
        {
            "inquiry_id": "i1",
            "occurred_at": "2024-04-20T10:00:00+08:00",
            "known_at": "2024-04-20T10:00:00+08:00",
            "reason": "loan_approval",
            "institution_kind": "bank",
        }
    ],
    "transactions": [],
}


class _Request(BaseModel):
    """What every score request can do, whatever the tables hold."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    @model_validator(mode="wrap")
    @classmethod
    def _agree(cls, value: Any, build: Callable[[Any], _Request]) -> _Request:
        request = build(value)
        tables = request.__dict__
        as_of = request.as_of
        try:
            if sum(len(tables[name] or ()) for name in _CHECKS) > MOST_RECORDS:
                raise _RefusedError((), f"more than {MOST_RECORDS} records in all")
            for name, check in _CHECKS.items():
                if tables[name]:
                    check(tables[name], as_of)
        except _RefusedError as fault:
            detail = InitErrorDetails(
                type=PydanticCustomError("contract", "{problem}", {"problem": fault.problem}),
                loc=fault.where,
                input=None,
            )
            raise ValidationError.from_exception_data("ScoreRequest", [detail]) from None
        return request

    @property
    def as_of(self) -> datetime:
        """The moment of decision, UTC without a zone."""
        moment: datetime = self.__dict__["application"].applied_at
        return moment

    def application_record(self) -> dict[str, Any]:
        """The application's columns; do not change what is returned."""
        fields: dict[str, Any] = self.__dict__["application"].__dict__
        return fields

    def facts(self) -> dict[str, Any]:
        """What rules read of the request: the application's columns, and `consent_bureau` ... as far as told."""
        told = self.__dict__["consents"]
        agreed = {} if told is None else {f"consent_{name}": value for name, value in told.__dict__.items()}
        return {**self.application_record(), **{name: value for name, value in agreed.items() if value is not None}}

    def records(self) -> dict[str, list[dict[str, Any]] | None]:
        """Records by table, None for a source that is missing; do not change what is returned."""
        tables = self.__dict__
        return {
            name: None if tables[name] is None else [record.__dict__ for record in tables[name]] for name in _CHECKS
        }

    @property
    def missing_sources(self) -> tuple[str, ...]:
        """Tables that the caller left out."""
        return tuple(name for name in _CHECKS if self.__dict__[name] is None)

    def logged_text(self, pseudonym: Callable[[str], str]) -> str:
        """The request as JSON in one normal form, with identifiers of customer and applications replaced.

        Two requests that mean the same give the same text, whatever the order of their fields; the text reads back
        as a request that scores the same.
        """
        application = self.__dict__["application"]
        hidden = {name: pseudonym(getattr(application, name)) for name in ("application_id", "customer_id")}
        changed: dict[str, Any] = {"application": application.model_copy(update=hidden)}
        loans = self.__dict__["loans"]
        if loans:
            changed["loans"] = [
                loan
                if loan.application_id is None
                else loan.model_copy(update={"application_id": pseudonym(loan.application_id)})
                for loan in loans
            ]
        return self.model_copy(update=changed).model_dump_json(exclude_none=True)


_OWNER = frozenset({"customer_id"})
RECORDS: Mapping[str, type[BaseModel]] = {
    APPLICATIONS.name: record_model(APPLICATIONS),
    **{table.name: record_model(table, without=_OWNER) for table in EVENT_TABLES},
}

_AGREED: dict[str, Any] = {
    provider: (Annotated[bool, Field(strict=True)] | None, None)
    for column in CONSENTS.columns
    if column.name == "provider"
    for provider in column.categories
}
_Consents = create_model(
    "Consents",
    __config__=ConfigDict(extra="forbid"),
    __doc__="Whose records the customer agreed to the use of, as of the decision; left out where nobody asked.",
    **_AGREED,
)

if TYPE_CHECKING:

    class ScoreRequest(_Request):
        """A score request; its fields are `application` and the event tables."""
else:
    ScoreRequest = create_model(
        "ScoreRequest",
        __base__=_Request,
        __doc__="One applicant's raw records; a table left out is a source that is missing.",
        __module__=__name__,
        application=(RECORDS["applications"], ...),
        **{
            table.name: (
                Annotated[list[RECORDS[table.name]], Field(max_length=MOST_RECORDS_OF_A_TABLE, fail_fast=True)] | None,
                Field(default=None, description=table.meaning),
            )
            for table in EVENT_TABLES
        },
        consents=(_Consents | None, Field(default=None, description=_Consents.__doc__)),
    )


def parse_request(body: bytes | str) -> ScoreRequest:
    """Read a score request from JSON.

    Raises
    ------
    pydantic.ValidationError
        Where the text is no JSON or breaks the contract; `faults` says which fields.
    """
    return ScoreRequest.model_validate_json(body)


def read_request(body: bytes | str) -> ScoreRequest:
    """Read a score request for a person: `RequestError` names every faulty field."""
    try:
        return parse_request(body)
    except ValidationError as error:
        told = "; ".join(f"{fault.field}: {fault.problem}" for fault in faults(error))
        raise RequestError(f"The request breaks its contract. {told}") from None


def is_json(error: ValidationError) -> bool:
    """Whether the text was JSON at all."""
    return all(detail["type"] != "json_invalid" for detail in error.errors(include_url=False, include_input=False))


def faults(error: ValidationError) -> list[Fault]:
    """Fields and problems of a refused request, without any value that was sent.

    Examples
    --------
    >>> try:
    ...     parse_request('{"application": {"customer_id": "c", "age": 30}, "inquiries": []}')
    ... except ValidationError as error:
    ...     [f"{fault.field}: {fault.problem}" for fault in faults(error)][-1]
    'application.age: not a field of this contract'
    """
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        Fault(field=_place(detail["loc"]), problem=_PROBLEMS.get(detail["type"], detail["msg"]))
        for detail in details[:MOST_FAULTS_TOLD]
    ]


_PROBLEMS = {"extra_forbidden": "not a field of this contract", "missing": "is missing"}


def _place(where: tuple[int | str, ...]) -> str:
    """`transactions[3].amount`; a field name that nobody would declare is not repeated."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part if part.isidentifier() and len(part) <= 64 else '(unnamed)'}"
    return text.lstrip(".") or "request"
