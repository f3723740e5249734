from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts.errors import SourceError
from data_contracts.locking import alone_in, clear_drafts, is_unfinished

HOLD = "from pathlib import Path\nfrom data_contracts.locking import alone_in\n"
HOLD += "with alone_in(Path('tables')):\n print('held', flush=True)\n input()"


def test_a_folder_is_held_by_one_and_freed_after(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    with alone_in(folder), pytest.raises(SourceError, match="Something else is being written into"), alone_in(folder):
        pass
    with alone_in(folder):
        pass


def test_a_lock_falls_with_the_process_that_held_it(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SourceError), alone_in(tmp_path / "tables"):
            pass
        holder.send_signal(signal.SIGKILL)
    with alone_in(tmp_path / "tables"):
        assert (tmp_path / "tables").is_dir()


def test_a_folder_that_stays_without_tables_is_taken_away_if_it_was_made_here(tmp_path: Path) -> None:
    with alone_in(tmp_path / "new"):
        (tmp_path / "new" / "batches" / ".half").mkdir(parents=True)
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    with alone_in(tmp_path / "mine"):
        pass
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_folder_with_tables_stays(tmp_path: Path) -> None:
    with alone_in(tmp_path / "new"):
        (tmp_path / "new" / "lender.json").write_text("{}")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [".lock", "lender.json"]


def test_drafts_go_and_what_is_listed_stays(tmp_path: Path) -> None:
    for name in ("listed", "unlisted", ".half"):
        (tmp_path / "batches" / name).mkdir(parents=True)
    for name in (".lender.json.1.draft", ".refused.jsonl.1.draft", "refused.jsonl"):
        (tmp_path / name).touch()
    clear_drafts(tmp_path, ["listed"])
    assert [path.name for path in (tmp_path / "batches").iterdir()] == ["listed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batches", "refused.jsonl"]


def test_what_a_killed_first_intake_left_is_told_from_other_things(tmp_path: Path) -> None:
    assert is_unfinished(tmp_path)
    (tmp_path / ".lock").touch()
    (tmp_path / "batches").mkdir()
    (tmp_path / ".lender.json.1.draft").touch()
    assert is_unfinished(tmp_path)
    (tmp_path / "thesis.tex").touch()
    assert not is_unfinished(tmp_path)
