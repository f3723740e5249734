from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import ContractError, SourceError
from data_contracts.folder import TableFolder, to_arrow, write_batch
from data_contracts.intake import Lineage, Receipt, accept, accepted_before
from data_contracts.locking import alone_in
from data_contracts.tables import TABLES

DAY = pd.Timestamp("2024-03-01 04:00")
RECEIVED = datetime(2024, 6, 1, 8, 30)


def days(number: float) -> pd.Timestamp:
    return DAY + pd.Timedelta(days=number)


def frame(name: str, rows: list[dict[str, Any]], usual: dict[str, Any]) -> dict[str, pd.DataFrame]:
    made = [{column: (usual | row).get(column) for column in TABLES[name].names} for row in rows]
    found = pd.DataFrame(made, columns=list(TABLES[name].names)).astype(object)
    return {name: found.where(found.notna(), None)}


def loans(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "loan_id": "l1", "customer_id": "c1", "occurred_at": days(0), "known_at": days(0), "product": "cash",
        "status": "granted", "principal": 500_000,
    }  # fmt: skip
    return frame("loans", list(rows), usual)


def payments(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "payment_id": "p1", "loan_id": "l1", "customer_id": "c1", "occurred_at": days(30), "known_at": days(31),
        "amount": 5_000,
    }  # fmt: skip
    return frame("payments", list(rows), usual)


def applications(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "application_id": "a1", "customer_id": "c1", "applied_at": days(0), "product": "cash",
        "amount_requested": 500_000,
    }  # fmt: skip
    return frame("applications", list(rows), usual)


def many_loans(number: int, **first: Any) -> dict[str, pd.DataFrame]:
    """Loans l0, l1, ... of one customer, the first with other values."""
    return loans(*[{"loan_id": f"l{at}"} | (first if at == 0 else {}) for at in range(number)])


def taken(out: Path, *tables: dict[str, pd.DataFrame], source: str = "1", **words: Any) -> Receipt:
    given = {name: table for some in tables for name, table in some.items()}
    usual = {"lender": "tiny", "dates": "calendar", "source": Lineage("delivery", {"f.csv": source})}
    return accept(out, given, **{**usual, "received_at": RECEIVED, "tolerance": 1.0, **words})


def held(receipt: Receipt, table: str) -> pd.DataFrame:
    return pq.read_table(receipt.batch.path / "quarantine" / f"{table}.parquet").to_pandas()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_good_rows_pass_and_bad_ones_go_to_quarantine_with_every_reason(tmp_path: Path) -> None:
    given = loans(
        {"loan_id": "good"},
        {"loan_id": "bad", "principal": -3, "term_months": 601, "status": "lost", "known_at": days(-1)},
        {"loan_id": "worse", "customer_id": None},
    )
    receipt = taken(tmp_path / "out", given)
    assert receipt.folder.read("loans")["loan_id"].tolist() == ["good"]
    quarantine = held(receipt, "loans").set_index("loan_id")
    assert quarantine.loc["bad", list(given["loans"].columns[2:4])].tolist() == [days(0), days(-1)]
    assert quarantine.loc["bad", "principal"] == -3
    assert quarantine["row"].tolist() == [1, 2]
    rules, reasons = quarantine.loc["bad", "rules"], quarantine.loc["bad", "reasons_en"]
    assert sorted(rules) == ["category", "known_at_not_before_occurred_at", "range", "range"]
    assert len(reasons) == len(rules) == len(quarantine.loc["bad", "reasons_zh"])
    assert [reason.split(":")[0] for reason, rule in zip(reasons, rules, strict=True) if rule == "range"] == [
        "principal", "term_months"
    ]  # fmt: skip
    assert "term_months: must be from 0 to 600 months" in reasons
    assert "term_months: 应在0至600个月之间" in quarantine.loc["bad", "reasons_zh"]
    assert quarantine.loc["worse", "rules"].tolist() == ["given"]
    assert quarantine.loc["worse", "reasons_en"].tolist() == ["customer_id: must be given"]


def test_the_facts_of_a_batch(tmp_path: Path) -> None:
    given = [loans({"annual_rate": 0.1}, {"loan_id": "l2", "principal": -3}), payments({}, {"payment_id": "p2"})]
    receipt = taken(tmp_path / "out", *given, accepted_at=RECEIVED + timedelta(minutes=5))
    facts = dict(receipt.batch.facts)
    assert set(facts) == {
        "batch", "files", "rows", "lender", "source", "received_at", "accepted_at", "delivered", "known_already",
        "quarantined", "flagged", "findings", "completeness", "newest", "profiles",
    }  # fmt: skip
    assert facts["source"] == {
        "name": "delivery", "files": {"f.csv": "1"}, "sha256": Lineage("any", {"f.csv": "1"}).sha256
    }  # fmt: skip
    assert (facts["received_at"], facts["accepted_at"]) == ("2024-06-01T08:30:00", "2024-06-01T08:35:00")
    assert facts["delivered"] == {"loans": 2, "payments": 2}
    assert facts["rows"] == {"loans": 1, "payments": 2}
    assert facts["known_already"] == {"loans": 0, "payments": 0}
    assert facts["quarantined"] == {"loans": {"range": 1}}
    assert [
        (told["table"], told["column"], told["rule"], told["level"], told["rows"]) for told in facts["findings"]
    ] == [("loans", "principal", "range", "reject", 1)]
    assert "-3" not in json.dumps(facts["findings"]), "offending values may be personal data"
    assert facts["completeness"]["loans"]["annual_rate"] == 1.0
    assert facts["completeness"]["loans"]["closed_at"] == 0.0
    assert facts["newest"] == {"loans": "2024-03-01T04:00:00", "payments": "2024-04-01T04:00:00"}
    assert facts["profiles"]["payments"]["rows"] == 2
    assert (facts["lender"], facts["batch"]) == ("tiny", receipt.batch.path.name)


def test_a_flag_is_counted_and_passes_unless_its_row_is_held(tmp_path: Path) -> None:
    late = {"known_at": days(80)}
    receipt = taken(
        tmp_path / "out",
        loans({}),
        payments({**late}, {**late, "payment_id": "p2", "amount": -1}, {"payment_id": "p3"}),
    )
    assert receipt.batch.facts["flagged"] == {"payments": {"known_late": 1}}
    assert receipt.folder.rows("payments") == 2


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        taken(tmp_path / name, many_loans(5, principal=-1), payments({}, {"payment_id": "p2"}))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_moments_with_a_zone_are_kept_in_utc(tmp_path: Path) -> None:
    china = datetime(2024, 6, 1, 8, 30, tzinfo=timezone(timedelta(hours=8)))
    assert taken(tmp_path / "out", loans({}), received_at=china).batch.facts["received_at"] == "2024-06-01T00:30:00"
    assert china.astimezone(UTC).hour == 0


def test_what_is_known_after_it_was_received_is_held_unless_dates_are_made_up(tmp_path: Path) -> None:
    given = loans({}, {"loan_id": "l2", "known_at": pd.Timestamp("2024-06-01 08:30:01")})
    assert taken(tmp_path / "real", given).batch.facts["quarantined"] == {"loans": {"not_from_the_future": 1}}
    assert taken(tmp_path / "made up", given, dates="relative").batch.facts["quarantined"] == {}


@pytest.mark.parametrize(("tolerance", "passes"), [(0.0, False), (0.0099, False), (0.01, True), (0.5, True)])
def test_a_batch_beyond_its_tolerance_is_refused_whole(tmp_path: Path, tolerance: float, passes: bool) -> None:
    out, given = tmp_path / "out", many_loans(100, principal=-1)
    if passes:
        assert taken(out, given, tolerance=tolerance).folder.rows("loans") == 99
        return
    with pytest.raises(ContractError) as refused:
        taken(out, given, tolerance=tolerance)
    message = str(refused.value)
    assert "delivery is refused whole; the tables are as they were" in message
    assert "loans: 1 of 100 rows, 1.00% (range 1)" in message
    assert "loans.principal: must be from 0" in message
    assert "--tolerance 0.01." in message
    assert not out.exists()


def test_tolerance_counts_new_rows_of_each_table_and_all_that_is_held(tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken(out, many_loans(100))
    with pytest.raises(ContractError, match=r"loans: 1 of 2 rows, 50\.00%"):
        taken(out, loans({"loan_id": "l0"}, {"loan_id": "new", "principal": -1}, {"loan_id": "new2"}), source="2",
              tolerance=0.4)  # fmt: skip
    bad = loans(*[{"loan_id": f"n{at}", "principal": -(at == 0)} for at in range(10)])
    with pytest.raises(ContractError, match=r"payments: 1 of 2 rows, 50\.00% \(parent_held 1\)"):
        taken(out, bad, payments({"loan_id": "n0"}, {"payment_id": "p2"}), source="3", tolerance=0.2)


@pytest.mark.parametrize("tolerance", [-0.1, 1.1, float("nan")])
def test_a_tolerance_is_a_share(tmp_path: Path, tolerance: float) -> None:
    with pytest.raises(SourceError, match="must be from 0 to 1"):
        taken(tmp_path / "out", loans({}), tolerance=tolerance)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop(columns="status"), "loans.status: must be there"),
        (lambda table: table.assign(colour="red"), "loans.colour: must be absent"),
        (lambda table: table.assign(principal="much"), "loans.principal: must be of type int64"),
    ],
)
def test_a_table_of_another_shape_is_refused_whatever_the_tolerance(tmp_path: Path, change: Any, told: str) -> None:
    out = tmp_path / "out"
    taken(out, loans({}))
    before = TableFolder.open(out).identity
    with pytest.raises(ContractError, match="It is not what the contracts say") as refused:
        taken(out, {"loans": change(loans({"loan_id": "l2"})["loans"])}, source="2")
    assert told in str(refused.value)
    assert TableFolder.open(out).identity == before


def test_a_table_that_the_contracts_do_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="must be one of the canonical tables"):
        taken(tmp_path / "out", loans({}), {"diary": pd.DataFrame({"day": [1]})})
    assert list(tmp_path.iterdir()) == []


def test_a_supplier_who_changes_units_has_the_batch_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    usual = {"direction": "out", "category": "dining", "channel": "pos", "counterparty_kind": "merchant"}

    def feed(first: int, times: int) -> dict[str, pd.DataFrame]:
        rows = [
            {
                "transaction_id": f"t{first + at}", "customer_id": f"c{at}", "occurred_at": days(at / 30),
                "known_at": days(at / 30), "amount": (at % 50 + 1) * times,
            }
            for at in range(600)
        ]  # fmt: skip
        return frame("transactions", rows, usual)

    taken(out, feed(0, 10_000))
    assert taken(out, feed(1_000, 10_000), source="2").batch.facts["rows"] == {"transactions": 600}
    with pytest.raises(ContractError, match=r"transactions\.amount: must be distributed as in the last batch"):
        taken(out, feed(2_000, 100), source="3")
    looked_into = taken(out, feed(2_000, 100), source="3", accept_changes=True).batch.facts
    assert looked_into["rows"] == {"transactions": 600}
    assert {"distribution": "flag"}.items() <= {f["rule"]: f["level"] for f in looked_into["findings"]}.items()
    next_one = taken(out, feed(3_000, 100), source="4").batch.facts  # held against the changed one
    assert "distribution" not in {found["rule"] for found in next_one["findings"]}


def test_a_refusal_is_told_beside_the_tables_and_leaves_them(tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken(out, many_loans(10))
    before = files_of(out)
    for source, value in (("2", -1), ("3", -2)):
        with pytest.raises(ContractError):
            taken(out, loans({"loan_id": "new", "principal": value}), source=source, tolerance=0.01)
    told = [json.loads(line) for line in (out / "refused.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["source"]["files"] for line in told] == [{"f.csv": "2"}, {"f.csv": "3"}]
    assert told[0]["quarantined"] == {"loans": {"range": 1}}
    assert told[0]["delivered"] == {"loans": 1}
    assert told[0]["tolerance"] == 0.01
    assert [finding["rule"] for finding in told[0]["findings"]] == ["range"]
    assert {name: held for name, held in files_of(out).items() if name != "refused.jsonl"} == before


def test_the_same_source_is_accepted_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = taken(out, loans({}))
    before = files_of(out)
    again = taken(out, {"loans": pd.DataFrame({"nobody": ["reads this"]})})
    assert again.already
    assert not first.already
    assert again.batch == first.batch
    assert files_of(out) == before
    source = Lineage("renamed", {"f.csv": "1"})
    known = accepted_before(out, "tiny", source)
    assert known is not None
    assert known.batch.identity == first.batch.identity
    assert accepted_before(out, "other", source) is None
    assert accepted_before(out, "tiny", Lineage("delivery", {"f.csv": "1"}, "2024-03")) is None
    assert accepted_before(tmp_path / "nowhere", "tiny", source) is None


def test_rows_that_were_accepted_are_not_written_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken(out, loans({}), applications({"income_monthly": None}), payments({}))
    second = taken(
        out,
        loans({}, {"loan_id": "l2"}),
        applications({"income_monthly": None}),
        payments({}, {}, {"payment_id": "p2"}),
        source="2",
    )
    assert second.batch.facts["known_already"] == {"loans": 1, "applications": 1, "payments": 2}
    assert second.batch.facts["rows"] == {"loans": 1, "payments": 1}
    assert second.batch.facts["quarantined"] == {}
    assert second.folder.read("payments")["payment_id"].tolist() == ["p1", "p2"]
    third = taken(out, loans({}), source="3")
    assert third.batch.facts["rows"] == {}
    assert len({batch.identity for batch in TableFolder.open(out).batches}) == 3


def test_a_correction_is_accepted_and_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert taken(out, loans({}), payments({})).folder.corrected == ()
    changed = taken(out, loans({"known_at": days(5), "status": "closed"}), source="2")
    assert changed.folder.corrected == ("loans",)
    assert changed.folder.read("loans")["status"].tolist() == ["granted", "closed"]
    assert taken(out, payments({"payment_id": "p2"}), source="3").folder.corrected == ("loans",)
    within = taken(tmp_path / "within", loans({}, {"known_at": days(5)}))
    assert within.folder.corrected == ("loans",)
    bad = taken(tmp_path / "bad", loans({}, {"known_at": days(5), "principal": -1}))
    assert bad.folder.corrected == ()


def test_what_contradicts_the_accepted_is_held(tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken(out, loans({}, {"loan_id": "l2", "principal": None}), applications({}))
    receipt = taken(
        out,
        loans({"principal": 1}, {"loan_id": "l2", "principal": 2}, {"loan_id": "l3"}),
        applications({"applied_at": days(9)}),
        payments({}),
        source="2",
    )
    assert receipt.batch.facts["quarantined"] == {
        "loans": {"contradicts_accepted": 2}, "applications": {"contradicts_accepted": 1}
    }  # fmt: skip
    assert receipt.folder.read("loans").sort_values("loan_id")["principal"].tolist() == [500_000, pd.NA, 500_000]
    assert receipt.folder.rows("payments") == 1, "its loan is there, as it was accepted"
    (reason,) = held(receipt, "applications")["reasons_en"][0]
    assert reason.startswith("application_id: must be as it was accepted before; a correction comes with a later")


def test_children_follow_their_parent_into_quarantine(tmp_path: Path) -> None:
    out = tmp_path / "out"
    due = {"customer_id": "c1", "occurred_at": days(0), "known_at": days(0), "due_at": days(30), "number": 1}
    instalments = frame(
        "instalments",
        [{"instalment_id": "i1", "loan_id": "bad"}, {"instalment_id": "i2", "loan_id": "good"}],
        {**due, "amount_due": 5_000},
    )
    receipt = taken(
        out,
        loans({"loan_id": "bad", "principal": -1}, {"loan_id": "good"}),
        instalments,
        payments(
            {"loan_id": "bad"},
            {"payment_id": "p2", "loan_id": "good", "instalment_id": "i1"},
            {"payment_id": "p3", "loan_id": "good", "instalment_id": "i2"},
        ),
    )
    assert receipt.folder.read("payments")["payment_id"].tolist() == ["p3"]
    assert receipt.folder.read("instalments")["instalment_id"].tolist() == ["i2"]
    told = held(receipt, "payments").set_index("payment_id")
    assert told.loc["p1", "rules"].tolist() == ["parent_held"]
    assert "parent_held" in told.loc["p2", "rules"]
    assert receipt.batch.facts["quarantined"]["instalments"] == {"parent_held": 1}


def test_a_parent_that_stands_elsewhere_keeps_its_children(tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken(out, loans({}))
    later = taken(out, loans({"known_at": days(5), "principal": -1}), payments({}), source="2")
    assert later.folder.rows("payments") == 1, "the earlier state of its loan was accepted"
    same = taken(tmp_path / "same", loans({}, {"known_at": days(5), "principal": -1}), payments({}))
    assert same.folder.rows("payments") == 1, "another state of its loan passes"
    orphan = taken(out, payments({"payment_id": "p9", "loan_id": "nobody"}), source="3")
    assert orphan.batch.facts["quarantined"] == {"payments": {"loan_id_in_loans": 1}}


def test_a_child_may_come_before_its_table_of_parents(tmp_path: Path) -> None:
    assert taken(tmp_path / "out", payments({"loan_id": "unknown yet"})).folder.rows("payments") == 1


def test_an_empty_table_is_known_to_be_empty(tmp_path: Path) -> None:
    out = tmp_path / "out"
    empty = {"payments": payments({})["payments"].iloc[:0]}
    assert taken(out, loans({}), empty).folder.rows("payments") == 0
    assert "payments" not in taken(out, loans({"loan_id": "l2"}), empty, source="2").batch.facts["files"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"lender": "huge"}, "holds tables of tiny, not of huge; name another folder with --out"),
        ({"dates": "relative"}, "holds tables with calendar dates, these have relative ones"),
    ],
)
def test_one_folder_is_of_one_lender(tmp_path: Path, words: dict[str, str], told: str) -> None:
    taken(tmp_path / "out", loans({}))
    before = files_of(tmp_path)
    with pytest.raises(SourceError, match=told):
        taken(tmp_path / "out", loans({"loan_id": "l2"}), source="2", **words)
    assert files_of(tmp_path) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SourceError, match="is no folder of canonical tables"):
        taken(tmp_path, loans({}))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_intakes_into_one_folder_are_kept_apart(tmp_path: Path) -> None:
    out = tmp_path / "out"
    taken(out, loans({}))
    with alone_in(out), pytest.raises(SourceError, match=r"Something else is being written into .* try again"):
        taken(out, loans({"loan_id": "l2"}), source="2")
    assert taken(out, loans({"loan_id": "l2"}), source="2").folder.rows("loans") == 2


def test_what_a_killed_intake_left_is_removed_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = taken(out, loans({}))
    unlisted = write_batch(out, {"loans": to_arrow(TABLES["loans"], loans({"loan_id": "x"})["loans"])}, "calendar", {})
    (out / "batches" / ".half").mkdir()
    (out / ".lender.json.4711.draft").write_text("{")
    assert TableFolder.open(out).batches == first.folder.batches
    second = taken(out, loans({"loan_id": "l2"}), source="2")
    assert second.folder.read("loans")["loan_id"].tolist() == ["l1", "l2"]
    assert not unlisted.path.exists()
    assert sorted(path.name for path in (out / "batches").iterdir()) == sorted(
        batch.identity for batch in second.folder.batches
    )
    assert not list(out.glob(".*.draft"))


def test_a_first_intake_that_was_killed_leaves_a_folder_for_the_next(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "batches" / ".half" / "loans").mkdir(parents=True)
    (out / ".lock").touch()
    with pytest.raises(SourceError, match="holds no canonical tables"):
        TableFolder.open(out)
    assert taken(out, loans({})).folder.rows("loans") == 1


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    taken(tmp_path / "out", loans({}), progress=lambda step, share: seen.append((step, share)))
    assert [step for step, _ in seen] == ["contracts", "writing"]
    assert sorted(share for _, share in seen) == [share for _, share in seen]
