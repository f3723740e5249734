"""Steps with the decision log: whether it is whole, what is removed after its time, what is taken out to be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from records import Facts, Progress
from workspace import Home, require_file, write_whole


def verify_log(home: Home, *, head: str | None = None, progress: Progress | None = None) -> Facts:
    """Look for entries that were changed, removed or put in; `head` is what an earlier verification told."""
    from serving.decision_log import DecisionLog
    from serving.log_upkeep import verify

    with DecisionLog.open(home.log, create=False) as log:
        found = verify(log, head, progress)
    return {
        "whole": not found.breaks,
        "entries": found.entries,
        "pruned_up_to": found.pruned,
        "head": found.head,
        "first_break": found.breaks[0].position if found.breaks else None,
        "breaks": [one.problem for one in found.breaks],
    }


def prune_log(home: Home, *, days: int, now: datetime | None = None, progress: Progress | None = None) -> Facts:
    """Remove entries that are older than so many days."""
    from data_contracts.months import utc
    from serving.decision_log import DecisionLog
    from serving.log_upkeep import prune

    at = utc(now or datetime.now(UTC))
    before = at - timedelta(days=days)
    with DecisionLog.open(home.log, create=False) as log:
        removed = prune(log, before, at, progress)
    return {"removed": removed, "decided_before": f"{before:%Y-%m-%d %H:%M}"}


def export_log(
    home: Home,
    out: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    bundle: str | None = None,
    kind: str | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Write decisions to a Parquet file or as JSON lines."""
    from serving.decision_log import DecisionLog
    from serving.log_export import export, form_of
    from serving.log_reading import Wanted

    require_file(out)
    form, wanted = form_of(out), Wanted(since, until, bundle, kind)
    with DecisionLog.open(home.log, create=False) as log:
        written = write_whole(out, lambda draft: export(log, draft, form, wanted, progress))
    return {"decisions": written, "file": str(out)}
