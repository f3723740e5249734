from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import zen

import policy.rules
from tests.command_line import refused, run

OWN = Path(policy.rules.__file__).parent / "tables"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(OWN, tmp_path / "rules")


def edited(folder: Path, table: str, old: str, new: str) -> None:
    file = folder / f"{table}.csv"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_rules_in_force_on_a_day_are_listed():
    shown = run("policy", "rules", "--on", "2026-01-01")
    assert shown.code == 0
    assert "ELI-001" in shown.out
    assert "decline · age_years < 18 · The applicant is under 18 申请人未满18周岁" in shown.out
    facts = run("policy", "rules", "--on", "2022-01-01", "--json").facts
    assert facts["rules"] == len(facts["in_force"]) == sum(facts["tables"].values()) < facts["versions"]
    (one,) = [rule for rule in facts["in_force"] if rule["id"] == "INQ-004"]
    assert (one["version"], one["effective_to"], one["place"]) == (1, "2022-12-31", "inquiries.csv, row 5")


def test_the_rules_are_written_for_gorules(tmp_path):
    facts = run("policy", "rules", "--jdm", tmp_path / "rules.json", "--json").facts
    content = (tmp_path / "rules.json").read_text(encoding="utf-8")
    fired = zen.ZenEngine().create_decision(content).evaluate({"age_years": 15})["result"]["eligibility"]
    assert facts["file"] == str(tmp_path / "rules.json")
    assert fired[0]["id"] == "ELI-001"


def test_fields_are_listed_with_unit_and_meaning():
    shown = run("policy", "rules", "--fields")
    assert "exposure_own" in shown.out
    assert "CNY · Principal of the loans that run with us and the amount asked for" in shown.out


def test_a_table_with_faults_is_refused_with_exit_code_2(folder):
    edited(folder, "eligibility", "age_years < 18,", "aeg_years < 18,")
    for command in ("rules", "lint", "test"):
        said = refused("policy", command, "--rules", folder, code=2)
        assert "eligibility.csv, row 2, column if_1: there is no field aeg_years; did you mean age_years?" in said


def test_our_own_rules_pass_the_linter():
    facts = run("policy", "lint", "--json").facts
    assert facts["levels"] == {"error": 0, "warning": 0, "note": 0}
    assert facts["findings"] == []


def test_the_linter_ends_with_exit_code_3_on_errors_alone(folder):
    edited(folder, "inquiries", "inquiries_count_7d 3..4", "inquiries_count_7d 3..5")
    warned = run("policy", "lint", "--rules", folder)
    assert warned.code == 0
    assert "overlap        INQ-001  inquiries.csv, row 2" in warned.out
    edited(folder, "inquiries", "inquiries_count_7d 3..5", "inquiries_count_7d < 0")
    wrong = run("policy", "lint", "--rules", folder)
    assert wrong.code == 3
    assert "error    unreachable    INQ-002  inquiries.csv, row 3: no value of inquiries_count_7d meets" in wrong.out


def test_a_rule_that_was_changed_without_its_cases_ends_with_exit_code_3(folder):
    assert run("policy", "test", "--rules", folder).code == 0
    edited(folder, "eligibility", "age_years < 18,", "age_years < 20,")
    changed = run("policy", "test", "--rules", folder, "--json")
    assert changed.code == 3
    assert changed.facts["failed"] == [
        {"rule": "ELI-001", "version": 1, "expect": "silent", "place": "eligibility.csv, row 3"}
    ]


def test_a_new_rule_has_no_cases_until_they_are_written(folder):
    row = "ELI-900,1,product_policy,2026-01-01,,flag,*,age_years >= 60,,,Over 60,年满60周岁,\n"
    with (folder / "eligibility.csv").open("a", encoding="utf-8") as file:
        file.write(row)
    proposed = folder.parent / "new.csv"
    missing = run("policy", "test", "--rules", folder, "--propose", proposed, "--json")
    assert (missing.code, missing.facts["untested"], missing.facts["proposed"]) == (3, ["ELI-900 version 1"], 2)
    shutil.copy(proposed, folder / "cases" / "new.csv")
    assert run("policy", "test", "--rules", folder).code == 0


def test_what_changed_between_two_folders_is_told(folder):
    edited(folder, "eligibility", "age_years < 18,", "age_years < 20,")
    facts = run("policy", "diff", OWN, folder, "--json").facts
    assert json.dumps(facts) == json.dumps(
        {
            "added": [],
            "removed": [],
            "changed": {"ELI-001/1": {"conditions": {"old": ["age_years < 18"], "new": ["age_years < 20"]}}},
        }
    )
