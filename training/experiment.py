"""What to train, as TOML: checked as a whole, so that one message lists every fault."""

from __future__ import annotations

import difflib
import importlib.resources
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.errors import DeclarationError
from training.parameters import value_faults


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Section):
    """What counts as a default, and of which applications it is asked; see `docs/targets.md`.

    Parameters
    ----------
    kind : {"dpd", "label", "card_dpd"}
        `dpd`: at least `dpd` days past due at any time in the first `months_on_book` months. `label`: the lender's own
        label. `card_dpd`: at least `dpd` days past due in any of the `performance_months` after a card was looked at.
    dpd : int
        Days past due from which on it is a default.
    months_on_book : int
        Performance window of `dpd`; younger loans are immature and left out.
    indeterminate_from : int, optional
        Whose worst days past due lie from here up to `dpd` is neither good nor bad and left out.
    observed_from, observed_until : date, optional
        Observation window: first and last day (China Standard Time) whose applications count.
    performance_months : int
        Performance window of `card_dpd`; where a month of it is not known the point is immature and left out.
    every_months : int
        Cards are looked at whenever so many months of the calendar have passed: 3 is the end of each quarter.
    least_months : int
        Months of history that a customer must have by then.
    with_debt : bool
        Only customers who owe something by then; those without would be told apart by that alone.
    """

    kind: Literal["dpd", "label", "card_dpd"]
    dpd: int = Field(default=30, ge=1, le=720)
    months_on_book: int = Field(default=6, ge=1, le=60)
    indeterminate_from: int | None = Field(default=None, ge=1, le=719)
    observed_from: date | None = None
    observed_until: date | None = None
    performance_months: int = Field(default=6, ge=1, le=36)
    every_months: int = Field(default=3, ge=1, le=12)
    least_months: int = Field(default=6, ge=1, le=60)
    with_debt: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Target:
        faults = _target_faults(self.model_dump())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def months(self) -> int:
        """Length of the performance window."""
        return self.performance_months if self.kind == "card_dpd" else self.months_on_book


class Split(_Section):
    """How the test is set apart; a customer never stands on both sides.

    `out_of_time`: the latest applications by `applied_at`. `random`: customers drawn at random, for lenders whose
    dates are made up. With `embargo` an out-of-time training holds only rows whose outcome was known when the test
    began, as it would be for a model that is put to use on that day.
    """

    method: Literal["out_of_time", "random"]
    test_share: float = Field(default=0.2, gt=0.0, lt=0.9)
    embargo: bool = True


class Scale(_Section):
    """Points of the score: `points` at good-to-bad odds of `odds` to 1, `pdo` more points double the odds."""

    points: float = 600.0
    odds: float = Field(default=20.0, gt=0.0)
    pdo: float = Field(default=40.0, gt=0.0)


class Rejects(_Section):
    """Whether refused applications of the training period are learnt from, and how; see `docs/rejects.md`.

    `fuzzy_parcelling`: a model of the granted applications infers each refused one's PD, its odds times `odds_factor`;
    it is learnt from as bad with that weight and as good with the rest. `weight`: that of all refused ones together,
    as a share of the granted ones'; each counts as one application where none is given. `calibrated_on`: whose bad
    rate the PD is to meet, that of the granted ones as observed or that of all as inferred.
    """

    method: Literal["none", "fuzzy_parcelling"] = "none"
    odds_factor: float = Field(default=2.0, gt=0.0, le=20.0)
    weight: float | None = Field(default=None, gt=0.0, le=10.0)
    calibrated_on: Literal["granted", "all"] = "granted"


class Tuning(_Section):
    """Budget and space of the Optuna search over XGBoost; no trials, no search."""

    trials: int = Field(default=0, ge=0)
    seconds: float | None = Field(default=None, gt=0.0)
    space: dict[str, dict[str, Any]] = {}


class Experiment(_Section):
    """One experiment: data's target and split, features, the hybrid's parts, its search, its score and its gate.

    Examples
    --------
    >>> read_experiment("simulated").target.dpd
    30
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    decision_point: Literal["application", "behaviour", "early_warning", "transaction", "collection"] = "application"
    feature_set: str
    seed: int = Field(default=7, ge=0)
    folds: int = Field(default=3, ge=2, le=20)
    sequence_length: int = Field(default=256, ge=1, le=1024)
    monotone: bool = True
    parts: tuple[Literal["boosted", "tabular_net", "sequence_net"], ...] = Field(
        default=("boosted", "tabular_net", "sequence_net"), min_length=1
    )
    target: Target
    split: Split
    scale: Scale = Scale()
    boosted: dict[str, Any] = {}
    tabular_net: dict[str, Any] = {}
    sequence_net: dict[str, Any] = {}
    tuning: Tuning = Tuning()
    rejects: Rejects = Rejects()
    gate: str = Field(default="default", min_length=1)
    text: str = Field(default="", exclude=True, repr=False)

    @model_validator(mode="after")
    def _parts_have_their_parameters(self) -> Experiment:
        faults = _part_faults(self.model_dump())
        if faults:
            raise ValueError("; ".join(faults))
        return self


def read_experiment(name: str) -> Experiment:
    """Read an experiment by the path of its TOML or by the name of one that comes with Lendwell.

    Raises
    ------
    DeclarationError
        Where there is none, or it is wrong; every fault is listed.
    """
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise DeclarationError(f"There is no experiment file {path}.")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as fault:
            raise DeclarationError(f"Experiment {path} is no text in UTF-8: {fault}.") from fault
    else:
        known = experiment_names()
        if name.replace("-", "_") not in known:
            raise DeclarationError(
                f"There is no experiment {name!r}; there are {', '.join(known)}, or give the path of a .toml file."
            )
        text = _folder().joinpath(f"{name.replace('-', '_')}.toml").read_text(encoding="utf-8")
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise DeclarationError(f"Experiment {name} is no valid TOML: {fault}.") from fault
    try:
        return Experiment(**{**declared, "text": text})
    except ValidationError as fault:
        listed = "\n".join(f"- {told}" for told in (*_field_faults(fault), *_part_faults(declared)))
        raise DeclarationError(f"Experiment {name} is declared wrongly:\n{listed}") from fault


def experiment_names() -> list[str]:
    """Names of the experiments that come with Lendwell."""
    return sorted(path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml"))


def _folder() -> Any:
    return importlib.resources.files("training").joinpath("experiments")


def _field_faults(error: ValidationError) -> list[str]:
    """What pydantic found, in our words; what `_part_faults` finds is left to it."""
    faults = []
    for detail in error.errors(include_url=False):
        where = tuple(str(part) for part in detail["loc"])
        if not where or detail["type"] == "value_error":
            continue
        problem = detail["msg"]
        if detail["type"] == "extra_forbidden":
            problem = _unknown(where[-1], _keys(where[:-1]))
        elif detail["type"] == "missing":
            problem = "is missing"
        faults.append(f"{'.'.join(where)}: {problem}")
    return faults


def _part_faults(declared: Mapping[str, Any]) -> list[str]:
    """What can only be told with the estimators, the search and the feature sets at hand."""
    from features.sets import feature_set
    from training.search_space import check_space

    faults = _parameter_faults(declared)
    target = declared.get("target", {})
    if isinstance(target, Mapping):
        faults += [f"target.{fault}" for fault in _target_faults(target)]
        if target.get("kind") == "card_dpd" and declared.get("decision_point", "application") == "application":
            faults.append('target.kind: card_dpd looks at cards in use; give decision_point = "behaviour"')
    tuning = declared.get("tuning", {})
    space = tuning.get("space", {}) if isinstance(tuning, Mapping) else {}
    checks: list[Callable[[], object]] = []
    if isinstance(declared.get("feature_set"), str):
        checks.append(lambda: feature_set(declared["feature_set"]))
    searched = isinstance(tuning, Mapping) and bool(tuning.get("trials") or tuning.get("seconds"))
    if isinstance(space, Mapping) and (space or searched):
        checks.append(lambda: check_space(space))
    parts = declared.get("parts", ("boosted",))
    if isinstance(parts, list | tuple):
        faults += [f"parts: {part} stands there twice" for part in dict.fromkeys(parts) if parts.count(part) > 1]
        if searched and "boosted" not in parts:
            faults.append(
                "tuning: the search is of XGBoost, which is not among the parts; add boosted, or leave it out"
            )
    for check in checks:
        try:
            check()
        except DeclarationError as fault:
            faults.append(str(fault))
    return faults


def _parameter_faults(declared: Mapping[str, Any]) -> list[str]:
    """Parameters of the parts that there are not, and values that they may not have."""
    from training.hybrid import PARTS

    faults = []
    for part, estimator in PARTS.items():
        known = estimator().get_params()
        given = declared.get(part, {})
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if name not in known:
                faults.append(f"{part}.{name}: {_unknown(name, known)}")
            elif name == "monotone" and not isinstance(value, Mapping | None):
                faults.append(f"{part}.{name}: must be a table with -1, 0 or 1 by feature, not {value!r}")
            elif not _fits(value, known[name]):
                faults.append(f"{part}.{name}: {value!r} is no {type(known[name]).__name__}")
            else:
                faults += [f"{part}.{fault}" for fault in value_faults({name: value})]
    return faults


_KEYS_OF_KIND = {
    "label": ("observed_from", "observed_until"),
    "dpd": ("dpd", "months_on_book", "indeterminate_from", "observed_from", "observed_until"),
    "card_dpd": (
        "dpd", "indeterminate_from", "observed_from", "observed_until", "performance_months", "every_months",
        "least_months", "with_debt",
    ),
}  # fmt: skip


def _target_faults(target: Mapping[str, Any]) -> list[str]:
    """What of a target does not fit together; values of a wrong type are told of elsewhere."""
    faults = []
    kind = target.get("kind")
    if kind in _KEYS_OF_KIND:
        defaults = {name: field.default for name, field in Target.model_fields.items() if name != "kind"}
        faults += [
            f"{name}: kind {kind!r} does not look at it; leave it out"
            for name, default in defaults.items()
            if name not in _KEYS_OF_KIND[kind] and target.get(name, default) != default
        ]
    worst, least = target.get("dpd", 30), target.get("indeterminate_from")
    if isinstance(worst, int) and isinstance(least, int) and least >= worst:
        faults.append(f"indeterminate_from: {least} is not below dpd {worst}, so nobody would be between")
    start, end = target.get("observed_from"), target.get("observed_until")
    if isinstance(start, date) and isinstance(end, date) and start > end:
        faults.append(f"observed_until: {end} lies before observed_from {start}")
    return faults


def _unknown(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return (
        f"there is no such key; did you mean {near[0]}?" if near else f"there is no such key; keys: {', '.join(known)}"
    )


def _keys(section: tuple[str, ...]) -> list[str]:
    """Keys of a section of the TOML, the whole for none."""
    model: Any = Experiment
    for name in section:
        model = model.model_fields[name].annotation
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _fits(value: Any, default: Any) -> bool:
    """Whether a parameter's value is of its default's kind; 1 will do for 1.0, true not for 1."""
    if default is None:
        return True
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)
