from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from data_contracts.errors import SourceError
from data_contracts.findings import Finding
from data_contracts.folder import TableFolder, to_arrow, write_batch, write_manifest, write_tables
from data_contracts.quality.checklist import checklist
from data_contracts.quality.coverage import coverage
from data_contracts.quality.history import REFUSED, deliveries
from data_contracts.quality.report import SECTIONS, build_quality_report
from data_contracts.tables import TABLES

DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2024-03-01 04:00")
RANGE = Finding(
    "inquiries", "occurred_at", "known_late", "known within 30 days", "在发生后30天内获知", "flag", 3, ("'secret-1'",)
)
BROKEN = Finding("inquiries", "reason", "category", "one of a, b", "取值为a, b之一", "reject", 1, ("'x<y>'",))
STALE = Finding("inquiries", "known_at", "fresh", "fresh", "及时", "batch", 90, ())


def inquiries(first, n, *, institutions=0):
    """`n` inquiries, one a day, the first of them with an institution."""
    days = [START + (first + number) * DAY for number in range(n)]
    return pd.DataFrame(
        {
            "inquiry_id": [f"q{first + number}" for number in range(n)],
            "customer_id": "c",
            "occurred_at": days,
            "known_at": days,
            "reason": "self",
            "institution_kind": "bank",
            "institution": ["bank"] * institutions + [None] * (n - institutions),
        }
    )


def applications(*days):
    return pd.DataFrame(
        {
            "application_id": [f"a{day}" for day in days],
            "customer_id": "c",
            "applied_at": [START + day * DAY for day in days],
            "product": "cash",
            "amount_requested": 100_000,
        }
    )


def facts(number, *, delivered, rows, **told):
    return {
        "lender": "tiny",
        "source": {"name": f"feed {number}", "files": {"inquiries.csv": f"{number}" * 64}, "sha256": f"f{number}" * 32},
        "received_at": f"2024-0{number}-02T03:04:05",
        "accepted_at": f"2024-0{number}-02T03:04:09",
        "delivered": {"inquiries": delivered},
        "known_already": {"inquiries": told.pop("known", 0)},
        "quarantined": {"inquiries": told.pop("quarantined", {})},
        "flagged": {"inquiries": told.pop("flagged", {})},
        "findings": told.pop("findings", []),
        "seconds": 1.5,
        **told,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two batches, the second with 2 rows in quarantine and 1 known already, and a batch that was refused between."""
    tmp_path = tmp_path_factory.mktemp("history")
    first = {"applications": applications(0, 40), "inquiries": inquiries(0, 100, institutions=90)}
    second = {"inquiries": inquiries(100, 200, institutions=100)}
    finding = {"table": "inquiries", "column": "reason", "rule": "category", "en": "", "zh": "", "level": "reject"}
    batches = []
    for number, tables, told in (
        (1, first, facts(1, delivered=100, rows=100)),
        (
            4,
            second,
            facts(
                4, delivered=203, rows=200, known=1, quarantined={"category": 2}, flagged={"known_late": 5},
                findings=[{**finding, "rows": 2}],
            ),
        ),
    ):  # fmt: skip
        arrow = {name: to_arrow(TABLES[name], frame) for name, frame in tables.items()}
        if number == 1:
            told["delivered"]["applications"] = 2
        batches.append(write_batch(tmp_path, arrow, "calendar", told))
    write_manifest(tmp_path, "tiny", "calendar", batches, [])
    whole = {
        "table": "inquiries",
        "column": "",
        "rule": "volume",
        "en": "as many rows",
        "zh": "行数相当",
        "level": "batch",
    }
    refused = facts(2, delivered=900, rows=0, findings=[{**whole, "rows": 900}])
    too_many = facts(3, delivered=50, rows=0, quarantined={"unique": 40}, tolerance=0.01)
    lines = [json.dumps(one, ensure_ascii=False) for one in (refused, too_many)]
    (tmp_path / REFUSED).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TableFolder.open(tmp_path)


def report(folder, findings=(), **options):
    covered = options.pop("coverage", None) or ("applications" in folder.tables and coverage(folder)) or None
    return build_quality_report(folder, findings, coverage=covered, created="2024-05-01", **options)


def section(html, name):
    """Text of one section in English, without markup."""
    part = re.search(rf'<section id="{name}">(.*?)</section>', html, re.DOTALL).group(1)
    part = re.sub(r'<span lang="zh">.*?</span>', "", part, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", part, flags=re.DOTALL))


@pytest.fixture(scope="module")
def html(folder):
    return report(folder)


@pytest.fixture(scope="module")
def broken(folder):
    return report(folder, [RANGE, BROKEN, STALE])


def test_same_input_same_bytes_and_nothing_from_outside(folder, html):
    assert report(folder) == html
    assert "://" not in html
    assert "default-src 'none'" in html
    assert str(folder.path) not in html


def test_every_section_is_there_in_both_languages(html):
    for name, text in SECTIONS:
        assert f'href="#{name}"' in html
        assert f'<h2><span lang="zh">{text.zh}</span><span lang="en">{text.en}</span></h2>' in html
    assert not re.search(r"<section id=[^>]*>\s*</section>", html)


def test_what_failed_comes_worst_first_and_examples_are_asked_for(folder, html, broken):
    text = section(broken, "failed")
    order = [text.index(words) for words in ("refuses the batch", "keeps the row out", "is counted only")]
    assert order == sorted(order)
    assert "secret" not in broken
    assert "1 hidden" in text
    shown = report(folder, [RANGE, BROKEN, STALE], examples=True)
    assert "secret-1" in section(shown, "failed")
    assert "x&lt;y&gt;" in shown
    assert "No rule is broken" in section(html, "failed")


def test_every_rule_is_listed_also_those_that_hold_or_cannot_be_asked(folder, broken):
    text = section(broken, "checked")
    for check in checklist(folder.tables):
        assert check.rule in text
        assert check.en in text.replace("&#39;", "'")
    assert "reason category one of loan_approval, card_approval, post_loan, guarantee, self, other" in text
    assert "keeps the row out 1 rows 2" in text  # in this check, and when its batch was taken in
    assert "lacks consents" in text
    assert "tradelines" not in text


def test_batches_accepted_and_refused_in_their_order(folder, html):
    came = deliveries(folder)
    assert [one.accepted for one in came] == [True, False, False, True]
    assert [sum(one.kept_out.values()) for one in came] == [0, 0, 0, 2]
    text = section(html, "batches")
    assert re.search(r"2024-04-02T03:04:05 accepted 203 1 200 2 0\.99% 5 ", text)
    assert re.search(r"2024-02-02T03:04:05 refused 900 0 0 0 – 0 ", text)
    assert "inquiries category quarantined · · · 2" in text
    assert "inquiries unique quarantined · · 40 ·" in text
    assert "inquiries known_late flagged · · · 5" in text
    assert "inquiries must be as many rows" in text
    assert "are tolerated (1.00%): inquiries unique 40" in text
    assert re.findall(r'data-plot="([^"]+)"', html)[:2] == ["batch-rows", "batch-shares"]


def test_completeness_by_batch_and_its_fall(html):
    assert "institution 90.0% 50.0%" in section(html, "completeness")
    assert "1 fell" in section(html, "completeness")
    part = re.search(r'<section id="completeness">(.*?)</section>', html, re.DOTALL).group(1)
    assert '<span class="pill bad">50.0%</span>' in part
    assert "reason" not in section(html, "completeness")  # always given


@pytest.mark.parametrize(("given", "falls"), [(18, False), (17, False), (10, True)])
def test_a_fall_that_chance_explains_is_none(tmp_path, given, falls):
    batches = [
        write_batch(tmp_path, {"inquiries": to_arrow(TABLES["inquiries"], rows)}, "calendar", {})
        for rows in (inquiries(0, 20, institutions=20), inquiries(20, 20, institutions=given))
    ]
    write_manifest(tmp_path, "tiny", "calendar", batches, [])
    html = report(TableFolder.open(tmp_path))
    assert ("1 fell" in section(html, "completeness")) is falls


def test_freshness_is_held_against_the_newest_application(tmp_path):
    tables = {"applications": applications(0, 500), "inquiries": inquiries(0, 100), "transactions": None}
    tables["transactions"] = pd.DataFrame(
        {
            "transaction_id": ["t"],
            "customer_id": "c",
            "occurred_at": START + 460 * DAY,
            "known_at": START + 460 * DAY,
            "amount": 1,
            "direction": "in",
            "category": "salary",
            "channel": "transfer",
            "counterparty_kind": "employer",
        }
    )
    folder = write_tables(tmp_path / "out", tables, lender="tiny", dates="calendar")
    text = section(report(folder), "freshness")
    assert "inquiries 100 2024-06-08 04:00 401 120 stale" in text
    assert "transactions 1 2025-06-04 04:00 40 60 fresh" in text


def test_coverage_stands_against_the_target(folder, html):
    text = section(html, "coverage")
    assert "2 applications · 1 customers · 0 by returning customers" in text
    assert re.search(r"Bureau inquiries 2 / 2 100\.00% met", text)
    assert re.search(r"Consumption the lender has no such table 0 / 2 0\.00% missed", text)
    assert "cash 100.0% (2) 0.0% (2) – –" in text
    stricter = report(folder, coverage=coverage(folder, target=1.0))
    assert "Target 100%" in section(stricter, "coverage")


def test_lineage_names_source_and_hashes(folder, html):
    text = section(html, "lineage")
    for batch in folder.batches:
        assert batch.identity in text
    assert "feed 4" in text
    assert "f4" * 32 in text
    assert "4" * 64 in text
    assert folder.hashes["inquiries"] in text
    assert "inquiries 203 200 2 7" in text  # by month, June 2024 to December


def test_use_tells_what_may_be_decided_and_what_is_too_old(tmp_path):
    old = inquiries(0, 1)
    tables = {"inquiries": old, "applications": applications(3653, 3654)}
    text = section(report(write_tables(tmp_path / "out", tables, lender="tiny", dates="calendar")), "use")
    assert "inquiries Bureau application , behaviour , early warning needed 3,653 3,654 beyond it" in text
    assert "outcomes (not there) Own repayments –" in text
    for name in TABLES:
        assert name in text


def test_a_plain_folder_of_one_batch_has_a_report(tmp_path):
    tables = {"inquiries": inquiries(0, 3), "applications": applications(1)}
    folder = write_tables(tmp_path / "out", tables, lender="tiny", dates="relative")
    html = report(folder)
    assert "a single batch" in section(html, "batches")
    assert "source not told" in section(html, "lineage")
    assert "institution" in section(html, "completeness")  # never given
    assert '<div class="mini"' not in html  # made-up dates have no months


def test_before_the_first_batch_there_are_the_refused_ones(tmp_path):
    (tmp_path / REFUSED).write_text(json.dumps(facts(2, delivered=9, rows=0)) + "\n", encoding="utf-8")
    html = report(TableFolder(tmp_path, "tiny", "calendar", ()), [STALE])
    assert "refused 9" in section(html, "batches")
    assert "refuses the batch" in section(html, "failed")
    assert "no applications to cover" in section(html, "coverage")


def test_a_broken_line_is_told_and_an_interrupted_last_one_left_out(folder):
    path = folder.path / REFUSED
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(text + '{"batch": ', encoding="utf-8")
        assert len(deliveries(folder)) == 4
        path.write_text('{"batch": \n' + text, encoding="utf-8")
        with pytest.raises(SourceError, match=r"refused\.jsonl, line 1 is no JSON"):
            deliveries(folder)
    finally:
        path.write_text(text, encoding="utf-8")


def test_footers_say_what_the_rows_say(tmp_path):
    rows = inquiries(0, 70, institutions=33)
    folder = write_tables(tmp_path / "out", {"inquiries": rows}, lender="tiny", dates="calendar")
    (one,) = deliveries(folder)
    found = one.tables["inquiries"]
    assert (found.rows, found.oldest, found.newest) == (70, rows["known_at"].min(), rows["known_at"].max())
    assert found.missing == {**dict.fromkeys(TABLES["inquiries"].names, 0), "institution": 37}
    assert found.months == rows["known_at"].dt.strftime("%Y-%m").value_counts().to_dict()
    assert one.completeness["inquiries"]["institution"] == pytest.approx(33 / 70)


def test_a_finding_that_no_rule_names_is_not_lost(folder):
    odd = Finding("inquiries_2", "", "table", "one of the canonical tables", "规范表之一", "batch", 0)
    extra = Finding("inquiries", "colour", "columns", "absent", "不存在", "batch", 7)
    checks = checklist(folder.tables, [odd, extra])
    assert [check.findings for check in checks if check.findings] == [(extra,), (odd,)]
    assert "inquiries_2" in section(report(folder, [odd, extra]), "failed")


def test_what_a_rule_lacks_depends_on_what_is_there():
    def asked(tables, **options):
        return {check.rule for check in checklist(tables, **options) if check.result != "not asked"}

    few, more = ["inquiries"], ["inquiries", "consents", "applications"]
    assert not asked(few) & {"fresh", "volume", "distribution", "consented", "not_from_the_future", "within_retention"}
    assert asked(more, earlier_batch=True, received=True) >= {
        "fresh", "volume", "distribution", "consented", "not_from_the_future", "within_retention",
    }  # fmt: skip
