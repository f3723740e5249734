"""The command line itself: it teaches, starts quickly, speaks to machines, and shows a traceback to who asks for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from tests.command_line import ENVIRONMENT, refused, run, start

COMMANDS = (
    "simulate",
    "lenders",
    "import",
    "validate",
    "observe",
    "features",
    "tune",
    "train",
    "evaluate",
    "compare",
    "gate",
    "promote",
    "rollback",
    "retire",
    "register",
    "serve",
    "snapshot",
    "bento",
    "score",
    "score-batch",
    "monitor",
    "demo",
)


def test_help_lists_every_command_in_the_order_of_the_way() -> None:
    shown = run("--help")
    assert shown.code == 0
    places = [re.search(rf"^│ {re.escape(name)} ", shown.out, re.MULTILINE) for name in COMMANDS]
    assert all(places)
    assert [place.start() for place in places if place] == sorted(place.start() for place in places if place)
    assert run().out.split() == shown.out.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_does_and_what_it_takes_with_an_example(name: str) -> None:
    shown = run(name, "--help")
    assert shown.code == 0
    usage, said = shown.out.split("╭", maxsplit=1)
    assert f"Usage: lendwell {name}" in usage
    assert len(usage.split()) > 10
    described = [line for line in said.splitlines() if re.match(r"│ [* ]*--?\w", line)]
    assert len(described) >= 1
    assert f"Example: lendwell {name} " in said


def test_help_needs_no_heavy_library() -> None:
    heavy = (
        "pandas",
        "numpy",
        "torch",
        "mlflow",
        "xgboost",
        "duckdb",
        "ibis",
        "great_expectations",
        "bentoml",
        "httpx",
    )
    program = f"import lendwell, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_facts_for_machines_are_one_json_object(tmp_path: Path) -> None:
    words = ("simulate", "--out", tmp_path / "tables", "--customers", 20, "--months", 12)
    for place in (0, 1, len(words)):
        ran = run(*words[:place], "--json", *words[place:])
        assert (ran.code, ran.err) == (0, "")
        assert ran.facts["lender"] == "simulated"
        assert ran.facts["rows"]["applications"] > 0


def test_facts_for_people_name_every_figure(tmp_path: Path) -> None:
    told = run("simulate", "--out", tmp_path / "tables", "--customers", 20, "--months", 12)
    facts = run("--json", "simulate", "--out", tmp_path / "again", "--customers", 20, "--months", 12).facts
    assert re.search(rf"^rows\.transactions +{facts['rows']['transactions']:,}$", told.out, re.MULTILINE)
    assert re.search(rf"^identity +{facts['identity']}$", told.out, re.MULTILINE)


def test_debug_shows_where_it_happened(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no folder"):
        run("--debug", "validate", tmp_path / "none")
    ended = start("validate", "none", "--debug", cwd=tmp_path)
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert "SourceError: There is no folder none" in ended.err
    assert "Traceback" not in start("validate", "none", cwd=tmp_path).err


def test_a_scenario_with_its_start_and_how_real_it_looks(tmp_path: Path) -> None:
    words = ("simulate", "--customers", 200, "--months", 12, "--scenario", "fraud_ring", "--start", "2022-03")
    told = run("--json", *words, "--out", tmp_path / "tables", "--report", tmp_path / "realism.html")
    assert told.code == 0, told.err
    assert told.facts["scenario"] == "fraud_ring"
    assert {"en", "value", "bound", "holds"} == set(told.facts["promises"][0])
    assert "<html" in (tmp_path / "realism.html").read_text(encoding="utf-8")
    applied = TableFolder.open(tmp_path / "tables").read("applications", ["applied_at"])["applied_at"]
    assert f"{applied.min():%Y-%m}" == "2022-03"
    assert "There is no scenario 'gold'" in refused(
        "simulate", "--scenario", "gold", "--out", tmp_path / "none", code=2
    )


def test_every_lender_is_listed_with_what_it_is() -> None:
    listed = run("--json", "lenders").facts
    assert {"home-credit", "taiwan", "superlender", "tables"} <= set(listed)
    assert all(len(told) > 20 for told in listed.values())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sail",), "No such command 'sail'"),
        (("validate",), "Missing argument"),
        (("simulate", "--outt", "x"), "No such option: --outt"),
        (("serve", "--model", "m", "--port", "99999"), "Invalid value for '--port'"),
        (("simulate", "--out", "x", "--customers", "many"), "Invalid value for '--customers'"),
        (("import", "tables", "x", "--out", "y", "--tolerance", "2"), "Invalid value for '--tolerance'"),
        (("simulate", "--out", "x", "--start", "soon"), "Invalid value for '--start'"),
    ],
)
def test_a_line_that_is_typed_wrongly(words: tuple[str, ...], told: str) -> None:
    for_people = run(*words)
    assert (for_people.code, for_people.out) == (2, "")
    assert told in " ".join(for_people.err.replace("│", " ").split())
    for_machines = run("--json", *words)
    assert (for_machines.code, for_machines.err) == (2, "")
    error = json.loads(for_machines.out)["error"]
    assert told in error["message"]
    assert error["exit_code"] == 2


def test_a_catalogue_of_the_features(tmp_path: Path) -> None:
    out = tmp_path / "catalogue.html"
    facts = run("--json", "features", "--catalog", "--out", out).facts
    assert facts["features"] >= 60
    assert "<html" in out.read_text(encoding="utf-8")


def test_one_thing_at_a_time_is_asked_of_features(tmp_path: Path) -> None:
    for words in (("--audit", "--explain"), ("--audit", "--engine", "spark")):
        told = run("features", "--data", tmp_path, *words)
        assert told.code == 2
        assert "Give one of --catalog, --explain and --audit" in told.err
    assert "duckdb" in run("features", "--data", tmp_path, "--engine", "foo").err


def test_the_sql_of_the_features(tmp_path: Path) -> None:
    assert run("simulate", "--out", tmp_path / "tables", "--customers", 20, "--months", 12).code == 0
    explained = run("features", "--explain", "--data", tmp_path / "tables")
    assert explained.code == 0
    assert "-- of_inquiries\n" in explained.out
    assert "SELECT" in explained.out
    assert "of_inquiries" in run("--json", "features", "--explain", "--data", tmp_path / "tables").facts["sql"]
