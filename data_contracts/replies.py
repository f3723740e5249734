"""What the service answers: scores with their reasons, batches, explanations, champions, readiness."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from data_contracts.messages import EXAMPLE, LONGEST_TEXT, ErrorDetail, ScoreRequest

MOST_APPLICANTS = 1_000


class Reason(BaseModel):
    """Why the risk is higher than the average applicant's."""

    code: str
    features: list[str] = Field(description="Features, or the source of events, that the reason stands for")
    zh: str
    en: str
    log_odds: float = Field(description="What it adds to the log-odds of default")
    points: float = Field(description="Score points it costs, positive")


class Warned(BaseModel):
    """Something the reader of the answer should know."""

    code: str
    zh: str
    en: str
    features: list[str] = Field(default=[], description="Features that it is about, where it is about some")


class ScoreBand(BaseModel):
    """Which share of the training applicants the score falls among: bands hold equally many of them."""

    number: int = Field(ge=1, description="1 is the safest")
    of: int = Field(ge=1, description="How many bands there are")
    points_from: float | None = Field(description="Scores of the band lie at or above this; null: open")
    points_below: float | None = Field(description="and below this; null: open")


class BundleName(BaseModel):
    """Which champion answered."""

    name: str
    version: str
    identity: str


class FeatureSetName(BaseModel):
    """Which features it used."""

    name: str
    identity: str


class ScoreResponse(BaseModel):
    """The answer to a score request."""

    model_config = ConfigDict(extra="ignore")

    request_id: str
    decision_id: str
    application_id: str
    decision_point: str
    pd: float = Field(ge=0, le=1, description="Calibrated probability of default")
    score: float = Field(description="Points, higher is safer")
    band: ScoreBand
    log_odds: float
    reasons: list[Reason] = Field(max_length=4, description="The strongest adverse reasons, strongest first")
    bundle: BundleName
    feature_set: FeatureSetName
    sum_of_attributions_minus_log_odds: float
    warnings: list[Warned] = []


class CustomerRequest(BaseModel):
    """A customer whose records the service has in its snapshot: the newest application there is scored."""

    model_config = ConfigDict(extra="forbid")

    customer_id: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_TEXT)]


class BatchRequest(BaseModel):
    """Many applicants at once; each is scored, logged and answered as if it came alone."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"requests": [EXAMPLE]}]})

    requests: list[ScoreRequest | CustomerRequest] = Field(min_length=1, max_length=MOST_APPLICANTS)


class ApplicantFault(BaseModel):
    """An applicant of a batch who has no answer, and why."""

    place: int = Field(ge=0, description="Where in `requests`, from 0")
    application_id: str | None = Field(description="As it was sent; null where it cannot be read")
    error: ErrorDetail


class BatchResponse(BaseModel):
    """The answers in the order of the requests, and the applicants without one."""

    answers: list[ScoreResponse]
    faults: list[ApplicantFault]


class FeatureShare(BaseModel):
    """A feature of the applicant, and what it adds to the log-odds of default."""

    name: str
    zh: str
    en: str
    unit: str
    value: float | None = Field(description="null: missing")
    log_odds: float


class SourceShare(BaseModel):
    """What the raw events of a source add to the log-odds of default, in all and by month before `as_of`."""

    name: str
    log_odds: float
    months: list[float] = Field(description="The latest month first; the last one is all that is older")


class ExplainResponse(BaseModel):
    """Why an applicant has the score: shares of the log-odds, which with `base` add up to it."""

    request_id: str
    decision_id: str
    application_id: str
    decision_point: str
    pd: float = Field(ge=0, le=1, description="Calibrated probability of default")
    score: float = Field(description="Points, higher is safer")
    band: ScoreBand
    log_odds: float
    base: float = Field(description="Log-odds of the applicants against whom this one is explained")
    features: list[FeatureShare] = Field(description="In the order of the feature set")
    sources: list[SourceShare] = Field(description="Sources of raw events; none where the bundle reads none")
    groups: dict[str, float] = Field(description="Features and events together by where their records come from")
    sum_of_attributions_minus_log_odds: float
    bundle: BundleName
    feature_set: FeatureSetName
    warnings: list[Warned]


class Champion(BaseModel):
    """Which bundle answers at a decision point, and which is scored beside it."""

    decision_point: str
    bundle: BundleName
    feature_set: FeatureSetName
    challenger: BundleName | None = None


class Champions(BaseModel):
    """Every decision point that has an answer."""

    champions: list[Champion]


class Readiness(BaseModel):
    """Whether the service answers, and what of a succession went wrong while the old champion stayed."""

    ready: Literal[True] = True
    champions: dict[str, BundleName]
    faults: dict[str, str] = Field(description="By decision point; empty where all is well")
