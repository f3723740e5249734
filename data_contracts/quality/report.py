"""The data-quality report: what was checked, what failed, how batches develop, as one HTML file for a reviewer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_contracts.findings import Finding
from data_contracts.folder import TableFolder
from data_contracts.quality.checklist import Check, checklist
from data_contracts.quality.coverage import PROVIDER_NAMES, Coverage
from data_contracts.quality.history import Delivery, TableInBatch, deliveries, newest_application
from data_contracts.quality.plots import batch_plots, coverage_plot
from data_contracts.tables import TABLES
from reporting.page import Text, render

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("failed", Text("未通过的规则", "What failed")),
    ("checked", Text("检查内容", "What was checked")),
    ("batches", Text("批次趋势", "Batches over time")),
    ("completeness", Text("完整度", "Completeness")),
    ("freshness", Text("时效与数据量", "Freshness and volume")),
    ("coverage", Text("数据来源覆盖", "Coverage")),
    ("lineage", Text("数据血缘", "Lineage")),
    ("use", Text("授权与保存期限", "Authorisation and retention")),
)
DECISION_POINTS = {
    "application": Text("申请", "application"),
    "behaviour": Text("额度复审", "behaviour"),
    "early_warning": Text("到期前预警", "early warning"),
    "transaction": Text("资金流监测", "transaction"),
    "collection": Text("催收", "collection"),
}
LEVELS = {
    "batch": (Text("整批拒收", "refuses the batch"), "bad"),
    "reject": (Text("该行隔离", "keeps the row out"), "bad"),
    "flag": (Text("仅标记", "is counted only"), "warn"),
}
LACKS = {
    "an earlier batch": Text("上一批次", "an earlier batch"),
    "the moment of receipt": Text("接收时间", "the moment of receipt"),
}
FALL = 0.05
"""A column that is given for so much less of the rows than in the batch before deserves a look."""
_SHOWN_BATCHES = 8


def build_quality_report(
    folder: TableFolder,
    findings: Iterable[Finding],
    *,
    coverage: Coverage | None,
    created: str,
    examples: bool = False,
) -> str:
    """Write what is known of the quality of a lender's records as one self-contained HTML text.

    Parameters
    ----------
    folder : TableFolder
        Accepted batches; refused ones are read from `refused.jsonl` beside them.
    findings : iterable of Finding
        What the latest check found.
    coverage : Coverage or None
        Of the folder's applications; None where it has none.
    created : str
        When, as the caller wants it printed; empty prints none.
    examples : bool, default False
        Whether to show offending values, which may be personal data.

    Returns
    -------
    str
        HTML in Chinese and English, switched by the reader or by `#zh` and `#en` behind the address; no network. The
        same records, findings and `created` give the same bytes.

    Raises
    ------
    SourceError
        Where a file of a batch or `refused.jsonl` cannot be read.
    """
    came = deliveries(folder)
    accepted = [one for one in came if one.accepted]
    received = any(one.facts.get("received_at") for one in accepted[-1:])
    checks = checklist(folder.tables, findings, earlier_batch=len(accepted) > 1, received=received)
    context: dict[str, Any] = {
        "title": Text(f"数据质量报告：{folder.lender}", f"Data-quality report: {folder.lender}"),
        "sections": SECTIONS,
        "folder": folder,
        "created": created,
        "examples": examples,
        "levels": LEVELS,
        "lacks": LACKS,
        "providers": PROVIDER_NAMES,
        "decision_points": DECISION_POINTS,
        "broken": sorted((check for check in checks if check.findings), key=_weight),
        "results": Counter(check.result for check in checks),
        "by_table": _by_table(checks),
        "earlier": _earlier(accepted),
        "came": came,
        "rows": sum(sum(one.rows.values()) for one in accepted),
        "quarantined": sum(sum(one.kept_out.values()) for one in accepted),
        "reasons": _reasons(came[-_SHOWN_BATCHES:]),
        "shown": came[-_SHOWN_BATCHES:],
        "batch_plots": batch_plots(came),
        "complete": _complete(accepted[-_SHOWN_BATCHES:]),
        "complete_in": accepted[-_SHOWN_BATCHES:],
        "fall": FALL,
        "fresh": _fresh(folder, accepted),
        "covered": coverage.summary() if coverage else None,
        "products": sorted(coverage.applications["product"].unique()) if coverage else [],
        "coverage_plot": coverage_plot(coverage) if coverage else None,
        "uses": _uses(folder, accepted),
        "tables": TABLES,
    }
    return render("quality_report.html.j2", context, "data_contracts.quality")


def _weight(check: Check) -> tuple[int, int]:
    return list(LEVELS).index(check.level), -check.rows


def _by_table(checks: Sequence[Check]) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in checks:
        found.setdefault(check.table, []).append(check)
    return found


def _earlier(accepted: Sequence[Delivery]) -> Counter[tuple[str, str, str]]:
    """Rows that broke each rule when their batch was taken in, over all accepted batches."""
    counted = Counter[tuple[str, str, str]]()
    for one in accepted:
        for told in one.facts.get("findings") or ():
            counted[told["table"], told["column"], told["rule"]] += int(told["rows"])
    return counted


def _reasons(came: Sequence[Delivery]) -> list[tuple[str, str, str, list[int]]]:
    """Rows of each batch by reason: table, rule, whether `quarantined` or `flagged`, and a number a batch."""
    made = []
    for kind in ("quarantined", "flagged"):
        counted = [one.counted(kind) for one in came]
        places = sorted({place for of in counted for place in of}, key=lambda p: (-sum(of[p] for of in counted), p))
        made += [(table, rule, kind, [of[table, rule] for of in counted]) for table, rule in places]
    return made


@dataclass(frozen=True)
class Completeness:
    """How often the columns of a table are given.

    Parameters
    ----------
    columns : list of (str, list of float or None, bool)
        Those that are given for some rows: name, share in each batch, whether the last one fell.
    always, never : list of str
        Those that are given for every row of every batch, and for none.
    """

    columns: list[tuple[str, list[float | None], bool]] = field(default_factory=list)
    always: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)


def _complete(accepted: Sequence[Delivery]) -> dict[str, Completeness]:
    shares = [one.completeness for one in accepted]
    found = {name: Completeness() for name in TABLES if any(name in of for of in shares)}
    for name, made in found.items():
        for column in TABLES[name].names:
            line = [of.get(name, {}).get(column) for of in shares]
            given = {share for share in line if share is not None}
            if given == {1.0}:
                made.always.append(column)
            elif given == {0.0}:
                made.never.append(column)
            elif given:
                rows = [one.rows.get(name, 0) for one in accepted[-2:]]
                made.columns.append((column, line, _fell(line[-2:], rows)))
    return found


def _fell(shares: Sequence[float | None], rows: Sequence[int]) -> bool:
    """Whether the second share is lower than the first by more than `FALL` and than chance."""
    if len(shares) < 2 or shares[0] is None or shares[1] is None or not all(rows):
        return False
    common = (shares[0] * rows[0] + shares[1] * rows[1]) / sum(rows)
    chance = 3 * math.sqrt(common * (1 - common) * (1 / rows[0] + 1 / rows[1]))
    return shares[0] - shares[1] > max(FALL, chance)


def _fresh(folder: TableFolder, accepted: Sequence[Delivery]) -> list[dict[str, Any]]:
    """By table: the newest record, days it lies behind the newest application, and rows by month of learning."""
    until = newest_application(accepted)
    made = []
    for name in folder.tables:
        parts = _parts(accepted, name)
        newest = max((part.newest for part in parts if part.newest), default=None)
        behind = max((until - newest).days, 0) if newest and until else None
        allowed = TABLES[name].fresh_days
        months = Counter[str]()
        for part in parts:
            months.update(part.months)
        last = sorted(months.items())[-48:]
        most = max(months.values(), default=0)
        made.append(
            {
                "name": name,
                "rows": sum(part.rows for part in parts),
                "newest": newest,
                "behind": behind,
                "allowed": allowed,
                "stale": allowed is not None and behind is not None and behind > allowed,
                "months": [(month, rows, 100 * rows / most) for month, rows in last] if most and len(last) > 1 else [],
            }
        )
    return made


def _uses(folder: TableFolder, accepted: Sequence[Delivery]) -> list[dict[str, Any]]:
    """By table: what it may decide, whether consent is needed, how long it is kept and how old its oldest record is."""
    until = newest_application(accepted)
    made = []
    for name, table in TABLES.items():
        oldest = min((part.oldest for part in _parts(accepted, name) if part.oldest), default=None)
        age = (until - oldest).days if until and oldest else None
        kept = table.use.retention_days
        made.append(
            {
                "table": table,
                "there": name in folder.tables,
                "age": age,
                "over": kept is not None and age is not None and age > kept,
            }
        )
    return made


def _parts(accepted: Sequence[Delivery], name: str) -> list[TableInBatch]:
    return [one.tables[name] for one in accepted if name in one.tables]
