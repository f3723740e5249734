"""Intake through the real command line: batches added, refused, taken in month by month, and killed in the middle."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow.parquet as pq
import pytest

from data_contracts.folder import TableFolder
from tests.command_line import COMMAND, ENVIRONMENT, refused, run

OWN_LENDER = """
import pyarrow.parquet as pq

def import_tables(source, progress=None):
    return {"applications": pq.read_table(source)}, "calendar"
"""
FIRST = ("applications", "consents", "inquiries")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated lender's tables as it would deliver them: one Parquet file each."""
    place = tmp_path_factory.mktemp("lender")
    assert run("simulate", "--out", place / "tables", "--customers", 400, "--months", 24).code == 0
    folder = TableFolder.open(place / "tables")
    (place / "raw").mkdir()
    for name in folder.tables:
        pq.write_table(folder.read_arrow(name), place / "raw" / f"{name}.parquet")
    return place / "raw"


@pytest.fixture(scope="module")
def earlier(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a first delivery of three tables was taken."""
    place = tmp_path_factory.mktemp("earlier")
    (place / "delivery").mkdir()
    for name in FIRST:
        shutil.copy(raw / f"{name}.parquet", place / "delivery")
    assert run("import", "tables", place / "delivery", "--out", place / "tables").code == 0
    return place / "tables"


def damaged(raw: Path, folder: Path, rows: int) -> Path:
    """A copy of a delivery in which some transactions are negative."""
    shutil.copytree(raw, folder)
    file = folder / "transactions.parquet"
    frame = pd.read_parquet(file)
    frame.loc[: rows - 1, "amount"] = -1
    frame.to_parquet(file, index=False)
    return folder


def test_deliveries_are_added_held_refused_and_never_taken_twice(raw: Path, earlier: Path, tmp_path: Path) -> None:
    out = shutil.copytree(earlier, tmp_path / "tables")
    transactions = pq.read_metadata(raw / "transactions.parquet").num_rows
    delivery = damaged(raw, tmp_path / "delivery", 3)
    told = run("--json", "import", "tables", delivery, "--out", out).facts
    assert told["batch"]["quarantined"] == {"transactions": {"range": 3}}
    assert set(told["batch"]["known_already"]) == set(FIRST)
    assert set(told["batch"]["rows"]).isdisjoint(FIRST)
    assert told["rows"]["transactions"] == transactions - 3
    held = pd.read_parquet(out / "batches" / told["batch"]["id"] / "quarantine" / "transactions.parquet")
    assert held["reasons_en"].str[0].str.startswith("amount: must be from 1").all()

    again = run("--json", "import", "tables", delivery, "--out", out).facts
    assert again["batch"]["already"]
    assert again["identity"] == told["identity"]

    worse = damaged(raw, tmp_path / "worse", transactions // 20)
    (worse / "inquiries.parquet").unlink()
    message = refused("import", "tables", worse, "--out", tmp_path / "new", code=2)
    assert f"transactions: {transactions // 20:,} of {transactions:,} rows, 5.00% (range" in message
    assert "--tolerance 0.05" in message
    assert not (tmp_path / "new").exists()
    assert run("import", "tables", worse, "--out", tmp_path / "new", "--tolerance", 0.051).code == 0

    (tmp_path / "mine.py").write_text(OWN_LENDER)
    message = refused("import", tmp_path / "mine.py", raw / "applications.parquet", "--out", out, code=2)
    assert "holds tables of tables, not of mine; name another folder" in message
    own = run("--json", "import", tmp_path / "mine.py", raw / "applications.parquet", "--out", tmp_path / "mine").facts
    assert own["lender"] == "mine"
    assert own["batch"]["source"] == "applications.parquet"

    checked = run("--json", "validate", out, "--report", tmp_path / "quality.html")
    assert checked.facts["identity"] == told["identity"]
    assert checked.facts["contracts"] == "all hold"
    assert "<html" in (tmp_path / "quality.html").read_text(encoding="utf-8")


def test_validate_tries_an_intake_of_files_and_writes_nothing(raw: Path, tmp_path: Path) -> None:
    delivery = damaged(raw, tmp_path / "delivery", 3)
    before = sorted(path.name for path in delivery.iterdir())
    told = run("--json", "validate", delivery).facts
    assert told["contracts"] == "would be accepted"
    assert told["would_be_held"] == {"transactions": {"range": 3}}
    assert told["would_pass"]["transactions"] == told["delivered"]["transactions"] - 3
    assert sorted(path.name for path in delivery.iterdir()) == before
    assert "would be refused whole" in refused("validate", delivery, "--tolerance", 0, code=2)
    assert "import tables" in refused("validate", delivery, "--report", tmp_path / "q.html", code=2)


def _start(raw: Path, out: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [*COMMAND, "import", "tables", str(raw), "--out", str(out)]
    return subprocess.Popen(command, cwd=out.parent, env=ENVIRONMENT, stdout=log, stderr=log)


def _drafts(out: Path) -> list[Path]:
    return [path for path in (out / "batches").glob(".*") if path.is_dir()]


def _written(out: Path, table: str) -> bool:
    return any((draft / table).is_dir() for draft in _drafts(out))


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "while it judges": lambda out: (out / ".lock").exists(),
    "as it begins to write": lambda out: bool(_drafts(out)),
    "with some tables written": lambda out: _written(out, "transactions"),
    "with most tables written": lambda out: _written(out, "payments"),
    "a first one, half written": lambda out: _written(out, "transactions"),
}


def test_an_import_that_is_killed_leaves_the_old_state_and_the_next_one_succeeds(
    raw: Path, earlier: Path, tmp_path: Path
) -> None:
    before = TableFolder.open(earlier)
    outs = {moment: tmp_path / str(number) / "tables" for number, moment in enumerate(MOMENTS)}
    for moment, out in outs.items():
        out.parent.mkdir()
        if "first" not in moment:
            shutil.copytree(earlier, out, ignore=shutil.ignore_patterns(".lock"))
    with (tmp_path / "log.txt").open("wb") as log:
        running = {moment: _start(raw, out, log) for moment, out in outs.items()}
        while running:  # at once: each takes its seconds to start
            for moment, process in list(running.items()):
                if MOMENTS[moment](outs[moment]) or process.poll() is not None:
                    process.kill()
                    assert running.pop(moment).wait() == -signal.SIGKILL, f"it ended before it was killed {moment}"
            time.sleep(0.0005)

    *later, first = outs.values()
    for out in later:
        assert TableFolder.open(out).batches == tuple(
            replace(batch, path=out / "batches" / batch.identity) for batch in before.batches
        )
    assert "holds no canonical tables" in refused("validate", first, code=2)
    whole = {file.stem: pq.read_metadata(file).num_rows for file in raw.iterdir()}
    for out in (later[-1], first):
        assert run("--json", "import", "tables", raw, "--out", out).facts["rows"] == whole
        listed = {batch.identity for batch in TableFolder.open(out).batches}
        assert {path.name for path in (out / "batches").iterdir()} == listed


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """Applications and loans of three deliveries; the second has too many bad rows."""
    applied = pd.to_datetime(["2024-01-10", "2024-04-10", "2024-05-10"])
    names = [f"a{number}" for number in range(3)]
    rows = pd.DataFrame({"application_id": names, "customer_id": "c", "applied_at": applied, "product": "cash"})
    rows.assign(amount_requested=[100, -1, 300]).to_csv(_made(tmp_path / "by_hand") / "applications.csv", index=False)
    loans = rows.rename(columns={"application_id": "loan_id", "applied_at": "occurred_at"}).assign(status="granted")
    loans["known_at"] = applied
    loans.to_csv(tmp_path / "by_hand" / "loans.csv", index=False)
    return tmp_path / "by_hand"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_records_are_taken_in_month_by_month_and_a_refused_month_stays_out(by_hand: Path, tmp_path: Path) -> None:
    words = ("--json", "import", "tables", by_hand, "--out", tmp_path / "tables", "--monthly")
    ended = run(*words)
    assert ended.code == 2, "some month was refused"
    assert [batch["source"] for batch in ended.facts["batches"]] == [
        "by_hand, until 2024-03",
        "by_hand, 2024-05",
    ]
    (left_out,) = ended.facts["refused"]
    assert left_out["part"] == "2024-04"
    assert "applications: 1 of 1 rows, 100.00% (range 1)" in left_out["why"]
    folder = TableFolder.open(tmp_path / "tables")
    assert folder.read("applications")["application_id"].tolist() == ["a0", "a2"]
    assert [batch.facts["received_at"] for batch in folder.batches] == ["2024-04-01T00:00:00", "2024-06-01T00:00:00"]
    assert (tmp_path / "tables" / "refused.jsonl").read_text().count("\n") == 1

    tolerant = run(*words, "--tolerance", 1)
    assert tolerant.code == 0
    assert [batch["already"] for batch in tolerant.facts["batches"]] == [True, False, True]
    assert TableFolder.open(tmp_path / "tables").rows("loans") == 3
    assert run(*words).code == 0, "all months are there"
    for_people = run(*words[1:])
    assert "batches.2.already" in for_people.out


def test_made_up_dates_have_no_months(real_data: Path, tmp_path: Path) -> None:
    message = refused(
        "import", "home-credit", real_data / "home_credit_seven_tables", "--out", tmp_path / "t", "--monthly", code=2
    )
    assert "import without --monthly" in message
    assert list(tmp_path.iterdir()) == []


def test_all_months_refused_is_an_error(by_hand: Path, tmp_path: Path) -> None:
    (by_hand / "loans.csv").unlink()
    rows = pd.read_csv(by_hand / "applications.csv").assign(amount_requested=-1)
    rows.to_csv(by_hand / "applications.csv", index=False)
    message = refused("import", "tables", by_hand, "--out", tmp_path / "tables", "--monthly", code=2)
    assert "by_hand, until 2024-03 is refused whole" in message
    assert not (tmp_path / "tables").exists()


def test_two_imports_at_once_are_kept_apart(raw: Path, earlier: Path, tmp_path: Path) -> None:
    out = shutil.copytree(earlier, tmp_path / "tables", ignore=shutil.ignore_patterns(".lock"))
    with (tmp_path / "log.txt").open("wb") as log:
        first = _start(raw, out, log)
        try:
            while not (out / ".lock").exists():
                assert first.poll() is None
                time.sleep(0.001)
            message = refused("import", "tables", damaged(raw, tmp_path / "other", 1), "--out", out, code=2)
        finally:
            ended = first.wait(120)
    assert "Something else is being written into" in message
    assert ended == 0
    assert len(TableFolder.open(out).batches) == 2
