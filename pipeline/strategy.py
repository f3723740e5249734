"""Steps over strategies: tried on past applications, searched under constraints, and why two versions differ."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import SourceError
from records import Facts, Progress, day
from workspace import Home, opened, require_file, with_columns, write_whole

if TYPE_CHECKING:
    import pandas as pd

    from data_contracts.folder import TableFolder
    from policy.decision import Policy
    from policy.past import Past
    from reporting.page import Text
    from training.bundle import Bundle


def backtest(
    model: str,
    data: Path,
    home: Home,
    on: date,
    *,
    strategy: Path | None = None,
    rules: Path | None = None,
    products: Path | None = None,
    against: str = "legacy",
    against_rules: Path | None = None,
    truth: Path | None = None,
    observed: bool = False,
    out: Path | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Decide past applications by a strategy and by another version, and tell what both would have come to."""
    from policy import backtest as measured
    from policy.targets import decision_times, targets

    if out is not None:
        require_file(out)
    policy = policy_on(on, strategy, rules, products)
    other = None if against == "legacy" else policy_on(on, _file(against), against_rules or rules, products)
    past, identities = _past(model, data, home, truth, observed, progress)
    past = past.offered(policy.tables.names)
    fired = policy.rules.fire(past.frame)
    first = measured.decided(_label(policy), past, policy, fired)
    before = measured.legacy(past, policy)
    second = before if other is None else measured.decided(_label(other), past, other)
    this = measured.backtest(past, first, policy, fired)
    that = measured.backtest(past, second)
    contrast = measured.contrast(past, second, first)
    promised = targets(past, first, before)
    facts: Facts = {
        **identities,
        **{name: value[:12] for name, value in policy.identities.items()},
        "sample": past.sample.en,
        "outcomes": [note.en for note in past.outcomes.notes],
        "applications": len(past),
        "targets": {one.key: one.to_dict() for one in promised},
        "decision_ms": decision_times(policy, past),
        "backtest": this.to_dict(),
        "against": that.to_dict(),
        "contrast": contrast.to_dict(),
    }
    if out is not None:
        from policy.optimise import frontier
        from policy.report.build import Measured, build_strategy_report

        if progress:
            progress("frontier", 0.95)
        found = Measured(past, policy, this, that, contrast, promised, facts["decision_ms"], frontier(past, policy))
        page = build_strategy_report(found, facts=_told(identities, policy), created=day(now))
        write_whole(out, lambda path: path.write_text(page, encoding="utf-8"))
        facts["report"] = str(out)
    return facts


def optimise(
    model: str,
    data: Path,
    home: Home,
    on: date,
    out: Path,
    *,
    strategy: Path | None = None,
    rules: Path | None = None,
    products: Path | None = None,
    bad_rate_most: float | None = None,
    referral_rate_most: float | None = None,
    approval_rate_least: Mapping[str, float] | None = None,
    truth: Path | None = None,
    observed: bool = False,
    report: Path | None = None,
    seed: int = 0,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Search the strategy that earns most within constraints, write it, and tell it on applicants it was not chosen on.

    Where the constraints cannot be kept no strategy is written; `why_not` tells how near one comes.
    """
    from policy.optimise import Constraints
    from policy.optimise import optimise as search
    from policy.report.build import build_search_report
    from policy.strategy import write_strategy

    require_file(out)
    if report is not None:
        require_file(report)
    constraints = Constraints(bad_rate_most, referral_rate_most, approval_rate_least or {})
    policy = policy_on(on, strategy, rules, products)
    constraints.require_products(policy.tables.names)
    past, identities = _past(model, data, home, truth, observed, progress)
    past = past.offered(policy.tables.names)
    if progress:
        progress("search", 0.9)
    found = search(past, policy, constraints, seed=seed)
    facts: Facts = {
        **identities,
        "sample": past.sample.en,
        "outcomes": [note.en for note in past.outcomes.notes],
        "applications": len(past),
        "kept": found.strategy is not None,
        "why_not": found.why_not.en,
        "chosen_on_one_half": None if found.chosen is None else found.chosen.to_dict()["overall"],
        "told_on_the_other": None if found.told is None else found.told.to_dict()["overall"],
        "present_on_the_other": found.base.to_dict()["overall"],
        "frontier": found.frontier.curve.to_dict("records"),
    }
    if found.strategy is not None:
        remark = f"Searched from {_label(policy)} with {identities['model']} on data {identities['data'][:12]}."
        text = write_strategy(found.strategy, remark)
        write_whole(out, lambda path: path.write_text(text, encoding="utf-8"))
        facts |= {"strategy": found.strategy.identity, "file": str(out)}
    if report is not None:
        page = build_search_report(found, policy, facts=_told(identities, policy), created=day(now))
        write_whole(report, lambda path: path.write_text(page, encoding="utf-8"))
        facts["report"] = str(report)
    return facts


def explain_change(
    model: str,
    data: Path,
    home: Home,
    on: date,
    *,
    to_model: str | None = None,
    to_data: Path | None = None,
    to_on: date | None = None,
    strategy: Path | None = None,
    to_strategy: Path | None = None,
    rules: Path | None = None,
    to_rules: Path | None = None,
    products: Path | None = None,
    to_products: Path | None = None,
    application: str | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Share out what changes from one version to another; what is not named for the second is as in the first."""
    from policy.change import steps
    from policy.versions import Version, change

    bundle, folder = _loaded(model, home), with_columns(opened(data))
    before = Version(folder, bundle, policy_on(on, strategy, rules, products))
    after = Version(
        folder if to_data is None else with_columns(opened(to_data)),
        bundle if to_model is None else _loaded(to_model, home),
        policy_on(to_on or on, to_strategy or strategy, to_rules or rules, to_products or products),
    )
    found = change(before, after, application=application, progress=progress)
    facts: Facts = {"components": list(found.components), **found.to_dict()}
    if application is not None:
        facts = {
            "components": list(found.components),
            "before": found.before.iloc[0].to_dict(),
            "after": found.after.iloc[0].to_dict(),
            "steps": list(steps(found, application)),
        }
    return facts


def policy_on(on: date, strategy: Path | None, rules: Path | None, products: Path | None) -> Policy:
    """Products, strategy and the rules in force on a day: Lendwell's own, or those of files."""
    from policy.decision import Policy
    from policy.products import read_products
    from policy.rules import RuleBook
    from policy.strategy import read_strategy

    offered = read_products(products)
    return Policy(offered, read_strategy(strategy, offered), RuleBook.load(rules).on(on))


def _past(
    model: str, data: Path, home: Home, truth: Path | None, observed: bool, progress: Progress | None
) -> tuple[Past, dict[str, str]]:
    """Past applications with scores of a registered model, and what they come from."""
    from policy.past import read_past

    folder = with_columns(opened(data))
    bundle, registered = home.registry().load(model)
    registered.require_in_use()
    told = None if observed else _truth(folder, truth)
    past = read_past(bundle, folder, truth=told, progress=progress)
    return past, {"model": registered.label, "bundle": bundle.identity, "data": folder.identity}


def _truth(folder: TableFolder, given: Path | None) -> pd.DataFrame | None:
    """The truth that is given, else the one that the simulated lender left beside its tables."""
    from evaluation.comparison import read_truth

    beside = folder.path / "truth" / "truth.parquet"
    if given is None and not (folder.lender == "simulated" and beside.is_file()):
        return None
    return read_truth(given or beside)


def _loaded(model: str, home: Home) -> Bundle:
    return home.registry().load(model)[0]


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise SourceError(f"There is no strategy file {name}; --against takes legacy, or the TOML of a strategy.")
    return path


def _label(policy: Policy) -> str:
    return f"{policy.strategy.name}/{policy.strategy.version}"


def _told(identities: Mapping[str, str], policy: Policy) -> list[tuple[Text, str]]:
    from reporting.page import Text

    words = {
        "model": "模型",
        "bundle": "模型包",
        "data": "数据",
        "rules": "规则",
        "products": "产品",
        "strategy": "策略",
    }
    known = {**identities, **policy.identities}
    return [(Text(zh, key.capitalize()), known[key]) for key, zh in words.items()]
