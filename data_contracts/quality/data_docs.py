"""The contracts and how they fared as Great Expectations' own Data Docs: a folder of HTML that needs no network.

Great Expectations draws its pages for a server that may load styles and scripts from elsewhere. What it draws is kept,
what it would load is replaced by a few lines of our own, so that the pages open from disk inside a bank.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from data_contracts.errors import SourceError
from data_contracts.findings import Finding
from data_contracts.folder import TableFolder
from data_contracts.judge import judge
from data_contracts.profile import LARGEST_PSI, VOLUME
from data_contracts.quality.checklist import Check, checklist
from data_contracts.quality.history import deliveries, newest_application
from data_contracts.suites import change_suite, column_suite, fresh_suite, generated_rules, key_suite, row_suite
from data_contracts.tables import TABLES
from reporting.page import Text, render

with warnings.catch_warnings():  # its import of a module that Python retires is not ours to mend
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult, RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

_SITE = "lendwell"
_MARK = '<meta name="generator" content="Lendwell data docs">'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEVELS = {
    "batch": "refuses the batch 整批拒收",
    "reject": "keeps the row out 该行隔离",
    "flag": "is counted only 仅标记",
}
_BOUNDS = {"volume": (VOLUME, 1 / VOLUME), "distribution": (0.0, LARGEST_PSI)}


@dataclass(frozen=True)
class _Page:
    """A table's line in the index."""

    table: str
    rows: int
    asked: int
    broken: int
    suite: str
    validation: str


def build_data_docs(
    folder: TableFolder,
    out: Path,
    *,
    findings: Iterable[Finding] | None = None,
    created: datetime | None = None,
    examples: bool = False,
) -> Path:
    """Write the Data Docs of a folder of canonical tables: every suite, and how each expectation fared.

    Parameters
    ----------
    folder : TableFolder
        The tables.
    out : Path
        Folder for the site; an earlier site there is replaced.
    findings : iterable of Finding, optional
        What a check of the folder found; it is checked now where they are not given.
    created : datetime, optional
        Printed as the time of the check; 1970-01-01 where it is not given.
    examples : bool, default False
        Whether to show offending values, which may be personal data.

    Returns
    -------
    Path
        `index.html` of the site.

    Raises
    ------
    SourceError
        Where `out` holds something else, or a table cannot be read.
    """
    out = out.resolve()
    if out.exists() and not _is_site(out):
        raise SourceError(f"{out} exists and holds something else than Data Docs; name another folder.")
    found = judge(folder).findings if findings is None else findings
    accepted = [one for one in deliveries(folder) if one.accepted]
    received = any(one.facts.get("received_at") for one in accepted[-1:])
    checks = checklist(folder.tables, found, earlier_batch=len(accepted) > 1, received=received)
    until = newest_application(accepted)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        site = _Site(draft, folder, RunIdentifier(folder.identity[:12], (created or _EPOCH).astimezone(UTC)), examples)
        pages = [
            site.add(name, [check for check in checks if check.table == name], until)
            for name in TABLES
            if name in folder.tables
        ]
        site.build()
        _write_index(draft, folder, pages, created)
        draft.chmod(0o755)
        shutil.rmtree(out, ignore_errors=True)
        draft.replace(out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return out / "index.html"


def _is_site(out: Path) -> bool:
    if not out.is_dir():
        return False
    index = out / "index.html"
    return not any(out.iterdir()) or (index.is_file() and _MARK in index.read_text(encoding="utf-8"))


class _Site:
    """Great Expectations' context, its stores in memory and one site on disk."""

    def __init__(self, path: Path, folder: TableFolder, run: RunIdentifier, examples: bool) -> None:
        self.path, self.folder, self.run, self.examples = path, folder, run, examples
        self.context = gx.get_context(mode="ephemeral")
        for name in list(self.context.variables.data_docs_sites or {}):
            self.context.delete_data_docs_site(name)
        site: Any = {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(path)},
        }
        self.context.add_data_docs_site(_SITE, site)

    def add(self, name: str, checks: list[Check], until: datetime | None) -> _Page:
        """Store a table's suite and its results."""
        suite = _suite(name, checks, until)
        self.context.suites.add(suite)
        rows = self.folder.rows(name)
        by_place = {(check.column, check.rule): check for check in checks}
        results = [
            self._result(expectation, check, rows)
            for expectation in suite.expectations
            if (check := by_place[_place(expectation)]).result != "not asked"
        ]
        good = sum(bool(result.success) for result in results)
        value = ExpectationSuiteValidationResult(
            success=good == len(results),
            results=results,
            suite_name=name,
            statistics={
                "evaluated_expectations": len(results),
                "successful_expectations": good,
                "unsuccessful_expectations": len(results) - good,
                "success_percent": 100.0 * good / len(results) if results else None,
            },
            meta={
                "run_id": self.run,
                "great_expectations_version": gx.__version__,
                "batch_spec": {"data_asset_name": f"{self.folder.lender}.{name}", "rows": rows},
            },
        )
        key = ValidationResultIdentifier(ExpectationSuiteIdentifier(name), self.run, self.folder.identity[:12])
        self.context.validation_results_store.set(key, value)
        page = "/".join(key.to_tuple())  # type: ignore[no-untyped-call]
        suite_page, results_page = f"expectations/{name}.html", f"validations/{page}.html"
        return _Page(name, rows, len(results), len(results) - good, suite_page, results_page)

    def _result(self, expectation: Any, check: Check, rows: int) -> ExpectationValidationResult:
        told = [example for finding in check.findings for example in finding.examples]
        result: dict[str, Any] = {
            "element_count": rows,
            "unexpected_count": check.rows,
            "unexpected_percent": 100.0 * check.rows / rows if rows else 0.0,
            "partial_unexpected_list": told if self.examples else [],
        }
        if check.rule in ("columns", "fresh", "volume", "distribution"):
            result = {"observed_value": ", ".join(told) if told and self.examples else "–"}
        nothing = {"raised_exception": False, "exception_traceback": None, "exception_message": None}
        return ExpectationValidationResult(
            success=not check.findings,
            expectation_config=expectation.configuration,
            result=result,
            exception_info=nothing,
        )

    def build(self) -> None:
        """Draw the pages and make them independent of any network."""
        self.context.build_data_docs(site_names=[_SITE])
        drawn = len(list(self.path.glob("expectations/*.html"))), len(list(self.path.glob("validations/**/*.html")))
        if drawn != (len(self.folder.tables),) * 2:  # it logs what it cannot draw and goes on
            raise RuntimeError(f"Great Expectations drew {drawn} pages of {len(self.folder.tables)} tables.")
        shutil.rmtree(self.path / "static", ignore_errors=True)
        style, script = (
            (files("data_contracts.quality") / "templates" / f"data_docs.{kind}").read_text(encoding="utf-8")
            for kind in ("css", "js")
        )
        for page in self.path.rglob("*.html"):
            page.write_text(_offline(page.read_text(encoding="utf-8"), style, script), encoding="utf-8")


def _suite(name: str, checks: list[Check], until: datetime | None) -> Any:
    """All expectations of a table as one suite, each in the contract's own words."""
    table = TABLES[name]
    rules = (*generated_rules(table, consents=True, received=True), *table.rules)
    limits = [(check.column, check.rule, *_BOUNDS[check.rule], "", "") for check in checks if check.rule in _BOUNDS]
    suites = [column_suite(table), row_suite(table, rules), key_suite(table), change_suite(table, limits)]
    if table.fresh_days is not None and until is not None:
        suites.append(fresh_suite(table, pd.Timestamp(until)))
    by_place = {(check.column, check.rule): check for check in checks}
    expected = [expectation for suite in suites for expectation in suite.expectations]
    for expectation in expected:
        check = by_place[_place(expectation)]
        where = check.column or check.table
        expectation.description = f"{where}: must be {check.en} · 应{check.zh} · {_LEVELS[check.level]}"
    return gx.ExpectationSuite(name=name, expectations=expected)


def _place(expectation: Any) -> tuple[str, str]:
    """Column and rule that an expectation stands for; that of a table's columns has no meta."""
    meta = expectation.meta or {"column": "", "rule": "columns"}
    return str(meta["column"]), str(meta["rule"])


_ELSEWHERE = (
    r"<link\b[^>]*>",
    r"<script\b[^>]*\bsrc=[^>]*>\s*</script>",
    r"<script>\s*try \{\s*if \(localStorage.*?</script>",
    r"<img\b[^>]*>",
    r"<footer>.*?</footer>",
    r"background: url\([^)]*\)[^;]*;",
)


def _offline(page: str, style: str, script: str) -> str:
    """A page without anything from elsewhere, and with ids that are the same each time."""
    for pattern in _ELSEWHERE:
        page = re.sub(pattern, "", page, flags=re.DOTALL)
    page = re.sub(r'(<a\b[^>]*href=")https?://[^"]*"', r'\1#"', page)
    numbers = count(1)
    seen: dict[str, str] = {}
    page = re.sub(
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        lambda found: seen.setdefault(found[0], str(next(numbers))),
        page,
    )
    return page.replace("</head>", f"<style>{style}</style>\n<script>{script}</script>\n</head>", 1)


def _write_index(draft: Path, folder: TableFolder, pages: list[_Page], created: datetime | None) -> None:
    context: dict[str, Any] = {
        "title": Text(f"数据契约文档：{folder.lender}", f"Data Docs: {folder.lender}"),
        "sections": (("tables", Text("各表", "Tables")),),
        "folder": folder,
        "pages": pages,
        "created": f"{created:%Y-%m-%d %H:%M}" if created else "",
        "version": gx.__version__,
    }
    text = render("data_docs_index.html.j2", context, "data_contracts.quality")
    (draft / "index.html").write_text(text.replace("</head>", f"{_MARK}\n</head>", 1), encoding="utf-8")
