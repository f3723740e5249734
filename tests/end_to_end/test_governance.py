"""From a challenger to a champion and back again through the real command line, with its register."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.command_line import Ran, refused, run
from tests.end_to_end.conftest import Trained
from training.registry import Registry
from workspace import Home

LENIENT = """
name = "lenient"

[measuring]
requests = 20
explained_rows = 20

[auc_difference]
least = -1.0

[parity_mismatches]
most = 0

[additivity]
most = 1e-4
"""
STRICT = LENIENT.replace("lenient", "strict").replace("least = -1.0", 'least = 0.5\nby = "interval"')


@dataclass(frozen=True)
class Governed:
    """A home of its own with two versions, and a command at it."""

    home: Path
    tables: Path

    def run(self, *words: object) -> Ran:
        return run("--json", *words, "--home", self.home)

    def refused(self, *words: object) -> str:
        return refused(*words, "--home", self.home, code=3)

    @property
    def registry(self) -> Registry:
        return Home(self.home).registry()

    def gate(self, version: str, gate: str) -> Ran:
        file = self.home / "gate.toml"
        file.write_text(gate)
        return self.run("gate", version, "--data", self.tables, "--gate", file, "--out", self.home / "verdict.json")


@pytest.fixture
def governed(trained: Trained, tmp_path: Path) -> Governed:
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    registry = Home(home).registry()
    registry.register("quick", registry.find("quick/1").run_id)
    return Governed(home, trained.tables)


def test_the_way_of_a_challenger(governed: Governed, trained: Trained) -> None:
    author = trained.steps["train"].facts["author"]
    first = governed.run("register", "quick").facts
    assert (first["model"], first["champion"]) == ("quick", "quick/1")
    assert [(entry["action"], entry["version"], entry["by"]) for entry in first["entries"]] == [
        ("registered", "1", author),
        ("appointed", "1", author),
    ]
    assert "has not been judged" in governed.refused("promote", "quick/2", "--approver", "risk team")

    strict = governed.gate("quick@challenger", STRICT)
    assert strict.code == 3, strict
    assert strict.facts["passed"] is False
    assert "has not let quick/2 pass: auc_difference" in governed.refused(
        "promote", "quick/2", "--approver", "risk team"
    )

    lenient = governed.gate("quick/2", LENIENT)
    assert lenient.code == 0, lenient
    assert json.loads((governed.home / "verdict.json").read_text())["passed"] is True
    by_name = {one["criterion"]: one for one in lenient.facts["criteria"]}
    assert by_name["auc_difference"]["value"] == 0.0  # the same bundle
    assert by_name["parity_mismatches"]["value"] == 0.0
    assert by_name["parity_mismatches"]["rows"] == 20
    assert {by_name[name]["result"] for name in ("score_psi", "latency_p99_ms")} == {"not_asked"}
    assert lenient.facts["evidence"]["compared"]["swap_set"]["out"] == 0
    assert lenient.facts["champion"]["model"] == "quick/1"
    run_id = governed.registry.find("quick/2").run_id
    logged = governed.registry.read_from_run(run_id, f"gate/verdict_{lenient.facts['verdict_sha256'][:16]}.json")
    assert logged == (governed.home / "verdict.json").read_bytes()

    assert "another person must approve it" in governed.refused("promote", "quick/2", "--approver", author)
    assert run("promote", "quick/2", "--home", governed.home).code == 2  # nobody is named
    promoted = governed.run("promote", "quick/2", "--approver", "risk team").facts
    assert promoted == {"model": "quick/2", "aliases": ["champion"], "approver": "risk team"}

    restored = governed.run("rollback", "quick", "--by", "on call", "--reason", "approvals fell by a third").facts
    assert (restored["model"], restored["aliases"]) == ("quick/1", ["champion"])
    assert "no earlier champion" in governed.refused("rollback", "quick", "--reason", "more")

    retired = governed.run("retire", "quick/2", "--by", "risk team", "--reason", "its bureau feed has ended").facts
    assert (retired["retired"], retired["champion"]) == ("its bureau feed has ended", "quick/1")
    at_it = ("--model", "quick/2", "--home", governed.home)
    for words in (
        ("serve", *at_it, "--port", 9),
        ("score-batch", *at_it, "--data", governed.tables, "--out", governed.home / "scores.parquet"),
        ("gate", "quick/2", "--data", governed.tables, "--home", governed.home),
    ):
        assert "quick/2 was retired: its bureau feed has ended" in refused(*words, code=3)

    told = governed.run("register", "quick", "--verify").facts
    assert (told["whole"], told["faults"], told["champion"]) == (True, [], "quick/1")
    done = ", ".join(f"{entry['action']} {entry['version']}" for entry in told["entries"])
    assert done == ("registered 1, appointed 1, registered 2, judged 2, judged 2, promoted 2, rolled_back 1, retired 2")
    assert told["entries"][5]["verdict_sha256"] == lenient.facts["verdict_sha256"]
    assert told["entries"][6]["reason"] == "approvals fell by a third"

    engine = sa.create_engine(f"sqlite:///{governed.home}/register.db")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER model_register_delete"))
        connection.execute(sa.text("DELETE FROM model_register WHERE position >= 8"))
    engine.dispose()
    changed = governed.run("register", "quick", "--verify")
    assert (changed.code, changed.facts["whole"]) == (3, False)
    assert changed.facts["faults"] == ["Entry 8 was removed: the registry has its mark."]


def test_a_verdict_for_people_is_in_two_languages(governed: Governed) -> None:
    file = governed.home / "people.toml"
    file.write_text(STRICT.replace("auc_difference", "auc").replace("least = 0.5", "least = 0.99"))
    shown = run("gate", "quick/1", "--data", governed.tables, "--gate", file, "--home", governed.home)
    assert shown.code == 3
    assert "breaks its bound: at least 0.99" in shown.out
    assert "not asked 未要求" in shown.out
    assert "通过" in shown.out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("register", "nobody"), 3, r"no model 'nobody' (it has: quick)"),
        (("rollback", "nobody", "--reason", "why"), 3, "no model 'nobody'"),
        (("rollback", "quick/1", "--reason", "why"), 3, "no model 'quick/1'"),
        (("retire", "quick/1", "--reason", " "), 1, "--reason is empty"),
        (("promote", "quick/1", "--approver", " "), 1, "--approver is ' '; give the name of a person"),
        (("gate", "quick/1", "--data", "tables", "--gate", "none"), 2, "There is no gate 'none'"),
    ],
)
def test_what_cannot_be_done(governed: Governed, words: tuple[str, ...], code: int, told: str) -> None:
    assert told in refused(*words, "--home", governed.home, code=code)
