"""The command line itself: it teaches, starts quickly, speaks to machines, and shows a traceback to who asks for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_contracts.errors import SourceError
from tests.command_line import ENVIRONMENT, run, start

COMMANDS = (
    "simulate",
    "import",
    "validate",
    "features",
    "tune",
    "train",
    "evaluate",
    "promote",
    "serve",
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


def test_help_needs_no_heavy_library_and_comes_at_once() -> None:
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


def test_help_takes_less_than_half_a_second(tmp_path: Path) -> None:
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        assert start("--help", cwd=tmp_path).code == 0
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5  # the others may have waited for a core


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sail",), "No such command 'sail'"),
        (("validate",), "Missing argument"),
        (("simulate", "--outt", "x"), "No such option: --outt"),
        (("serve", "--model", "m", "--port", "99999"), "Invalid value for '--port'"),
        (("simulate", "--out", "x", "--customers", "many"), "Invalid value for '--customers'"),
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


def test_the_sql_of_the_features(tmp_path: Path) -> None:
    assert run("simulate", "--out", tmp_path / "tables", "--customers", 20, "--months", 12).code == 0
    explained = run("features", "--explain", "--data", tmp_path / "tables")
    assert explained.code == 0
    assert "-- inquiries\n" in explained.out
    assert "SELECT" in explained.out
    assert "inquiries" in run("--json", "features", "--explain", "--data", tmp_path / "tables").facts["sql"]
