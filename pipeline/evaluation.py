"""Steps that judge what is registered: one bundle on newer rows, two bundles on the same rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from records import Facts, Progress, day
from workspace import Home, opened, require_file, with_contracts, write_whole


def evaluate_model(
    model: str,
    data: Path,
    out: Path,
    home: Home,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Measure a registered bundle on a folder with outcomes and write the reviewer's report."""
    from evaluation.run import evaluate

    require_file(out)
    bundle, registered = home.registry().load(model)
    measured = evaluate(bundle, with_contracts(opened(data)), created=day(now), progress=progress)
    write_whole(out, lambda path: path.write_text(measured.report, encoding="utf-8"))
    return {"model": registered.label, "rows": measured.rows, **measured.figures(), "report": str(out)}


def compare(
    champion: str,
    challenger: str,
    data: Path,
    out: Path,
    home: Home,
    *,
    truth: Path | None = None,
    approval_rate: float | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Compare two registered bundles on the same applications of a folder and write the page that shows it."""
    from evaluation.comparison import compare as compare_bundles
    from evaluation.comparison import read_truth
    from evaluation.report.comparison import build_comparison
    from reporting.page import Text

    require_file(out)
    told = None if truth is None else read_truth(truth)
    registry = home.registry()
    (first, of_first), (second, of_second) = registry.load(champion), registry.load(challenger)
    folder = with_contracts(opened(data))
    found = compare_bundles(first, second, folder, truth=told, approval_rate=approval_rate, progress=progress)
    facts = [
        (Text("冠军模型", "Champion"), f"{of_first.label} {first.identity}"),
        (Text("挑战模型", "Challenger"), f"{of_second.label} {second.identity}"),
        (Text("数据标识", "Data identity"), folder.identity),
        (Text("真值文件", "Truth"), "–" if truth is None else truth.name),
    ]
    page = build_comparison(found, champion=of_first.label, challenger=of_second.label, facts=facts, created=day(now))
    write_whole(out, lambda path: path.write_text(page, encoding="utf-8"))
    return {
        "champion": of_first.label,
        "challenger": of_second.label,
        **found.to_dict(),
        "report": str(out),
    }
