"""Versions of all that decides, and what differs between two of them: `policy.change` exchanges their components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from data_contracts.errors import LendwellError
from data_contracts.folder import TableFolder
from features import batch, sequences
from features.sequences import EventSequences
from features.sets import feature_set
from policy.change import COMPONENTS, TOGETHER, Change, Mixture, attribute, measures
from policy.decision import Policy
from policy.outcomes import Flags, Floats
from policy.rules.facts import read_facts
from policy.rules.fields import FEATURE_SET
from policy.strategy import LIMIT, PRICE, Strategy
from training.bundle import Bundle
from training.calibration import calibrator_to_json

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Version:
    """All that decides: the records, the bundle that scores them, rules, products and strategy."""

    data: TableFolder
    bundle: Bundle
    policy: Policy


def differing(before: Version, after: Version) -> tuple[str, ...]:
    """Components that two versions do not share, in the order of `COMPONENTS`.

    Examples
    --------
    >>> from datetime import date
    >>> from policy.products import read_products
    >>> from policy.rules import RuleBook
    >>> from policy.strategy import read_strategy
    >>> policy = Policy(read_products(), read_strategy(), RuleBook.load().on(date(2026, 7, 1)))
    >>> differing_parts(policy.strategy, policy.strategy.changed("business", lgd=0.5, approve_pd=0.05))
    ('cut_offs', 'price')
    """
    found = set(differing_parts(before.policy.strategy, after.policy.strategy))
    pairs = {
        "data": [one.data.identity for one in (before, after)],
        "rules": [one.policy.rules.identity for one in (before, after)],
        "products": [one.policy.products.identity for one in (before, after)],
    }
    found |= {name for name, (first, second) in pairs.items() if first != second}
    one, other = before.bundle, after.bundle
    if one.identity != other.identity:
        found.add("model")
        if one.feature_set.identity != other.feature_set.identity:
            found.add("features")
        if calibrator_to_json(one.model.calibrator_) != calibrator_to_json(other.model.calibrator_):
            found.add("calibrator")
    if {"features", "model"} <= found and set(one.feature_set.names) != set(other.feature_set.names):
        found = (found - {"features", "model"}) | {TOGETHER}
    order = {name: at for at, name in enumerate(COMPONENTS)} | {TOGETHER: 1}
    return tuple(sorted(found, key=order.__getitem__))


def differing_parts(before: Strategy, after: Strategy) -> tuple[str, ...]:
    """Which of `cut_offs`, `limit` and `price` two strategies do not share."""
    shared = [name for name in before.products if name in after.products]
    pairs = [(before.products[name].model_dump(), after.products[name].model_dump()) for name in shared]
    return tuple(sorted({part_of(key) for one, other in pairs for key in one if one[key] != other[key]}))


def change(
    before: Version, after: Version, *, application: str | None = None, progress: Progress | None = None
) -> Change:
    """Share out what changes from one version to another: on one application, or on all that both have records of.

    Raises
    ------
    LendwellError
        Where they have no application in common, or not the one that is asked for.
    """
    mixed = _Mixed(before, after, application, progress)
    components = differing(before, after)
    total = 2 ** len(components)

    def decide(mixture: Mixture) -> pd.DataFrame:
        if progress:
            progress(f"mixture {mixed.done + 1} of {total}", 0.3 + 0.7 * mixed.done / total)
        return mixed.decide(mixture)

    return attribute(components, decide)


def part_of(key: str) -> str:
    """Which component a value of a strategy belongs to."""
    return "limit" if key in LIMIT else "price" if key in (*PRICE, "lgd") else "cut_offs"


def mixed_strategy(before: Strategy, after: Strategy, mixture: Mixture) -> Strategy:
    """The first strategy with those of `cut_offs`, `limit` and `price` from the second that the mixture names."""
    declared, other = before.model_dump(), after.model_dump()["products"]
    for name, values in other.items():
        own = declared["products"].setdefault(name, values)
        declared["products"][name] = {key: values[key] if part_of(key) in mixture else own[key] for key in values}
    return Strategy.model_validate(declared)


class _Mixed:
    """Mixtures of two versions; what several of them share is computed once."""

    def __init__(self, before: Version, after: Version, application: str | None, progress: Progress | None) -> None:
        self.versions, self.progress, self.done = (before, after), progress, 0
        self._kept: dict[tuple[Any, ...], Any] = {}
        first, second = (set(one.data.read("applications", ["application_id"])["application_id"])
                         for one in (before, after))  # fmt: skip
        asked = first & second if application is None else first & second & {application}
        if not asked:
            which = "any application" if application is None else f"the application {application}"
            raise LendwellError(f"{before.data.path} and {after.data.path} do not both have {which}.")
        self.applications = pd.Index(sorted(asked), name="application_id")

    def decide(self, mixture: Mixture) -> pd.DataFrame:
        """What the mixture decides of each application."""
        self.done += 1
        new = mixture | {"features", "model"} if TOGETHER in mixture else mixture
        # places of the versions that records, features, model and calibrator are taken from
        data, *scorer = (int(name in new) for name in ("data", "features", "model", "calibrator"))
        log_odds = self._once(("log-odds", data, *scorer), lambda: self._log_odds(data, *scorer))
        scale = self.versions[scorer[1]].bundle.scale
        frame = self._facts(data).assign(pd=expit(log_odds), score=scale.points(log_odds))
        rules, products = (self.versions[int(name in new)].policy for name in ("rules", "products"))
        fired: Flags = self._once(("fired", data, *scorer, rules.rules.identity), lambda: rules.rules.fire(frame))
        strategy = mixed_strategy(self.versions[0].policy.strategy, self.versions[1].policy.strategy, mixture)
        policy = Policy(products.products, strategy, rules.rules, tables=products.tables)
        return measures(policy.decide_frame(frame, fired), frame["pd"])

    def _facts(self, data: int) -> pd.DataFrame:
        def read() -> pd.DataFrame:
            facts = read_facts(self.versions[data].data, self._of_all(data, FEATURE_SET))
            rows: pd.DataFrame = facts.loc[self.applications]
            return rows

        found: pd.DataFrame = self._once(("facts", data), read)
        return found

    def _log_odds(self, data: int, features: int, model: int, calibrator: int) -> Floats:
        bundles = [version.bundle for version in self.versions]
        raw: Floats = self._once(
            ("raw", data, features, model), lambda: self._raw(data, bundles[features], bundles[model])
        )
        return np.asarray(bundles[calibrator].model.calibrator_(raw))

    def _raw(self, data: int, declared: Bundle, bundle: Bundle) -> Floats:
        features = self._matrix(data, declared.feature_set.name)[list(bundle.feature_set.names)]
        length = bundle.sequence_length
        events = None if length is None else self._once(("events", data, length), lambda: self._events(data, length))
        return bundle.model.raw_log_odds(features, events)

    def _matrix(self, data: int, name: str) -> pd.DataFrame:
        rows: pd.DataFrame = self._of_all(data, name).loc[self.applications]
        return rows

    def _of_all(self, data: int, name: str) -> pd.DataFrame:
        def compute() -> pd.DataFrame:
            return batch.compute(self.versions[data].data, feature_set(name), progress=self.progress)

        found: pd.DataFrame = self._once(("features", data, name), compute)
        return found

    def _events(self, data: int, length: int) -> EventSequences:
        rows = self._of_all(data, FEATURE_SET).index.get_indexer(
            self.applications
        )  # a folder's events lie in its order
        return sequences.from_folder(self.versions[data].data, length).take(rows)

    def _once(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]
