"""Steps over the policy: its rules listed, looked through and tried on their cases."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path

from records import Facts
from workspace import opened, require_file, with_columns, write_whole


def list_rules(rules: Path | None, day: date, *, jdm: Path | None = None) -> Facts:
    """Rules in force on a day; with `jdm` also written as a GoRules decision."""
    from policy.rules import RuleBook
    from policy.rules.jdm import to_jdm

    book = RuleBook.load(rules)
    in_force = book.on(day)
    facts: Facts = {
        "rules": len(in_force.rules),
        "versions": len(book.rules),
        "on": day.isoformat(),
        "severities": dict(Counter(rule.severity for rule in in_force.rules)),
        "tables": dict(Counter(rule.table for rule in in_force.rules)),
        "identity": in_force.identity,
    }
    if jdm is not None:
        require_file(jdm)
        content = json.dumps(to_jdm(in_force.rules), indent=1, ensure_ascii=False)
        write_whole(jdm, lambda path: path.write_text(content, encoding="utf-8"))
        return {**facts, "file": str(jdm)}
    return {**facts, "in_force": [{"table": rule.table, "place": rule.place, **rule.spec()} for rule in in_force.rules]}


def list_fields() -> Facts:
    """What rules may ask about, with unit and meaning."""
    from policy.rules.fields import vocabulary

    fields = vocabulary()
    told = {
        name: {"kind": field.kind, "unit": field.unit, "meaning": field.meaning, "values": list(field.values)}
        for name, field in fields.items()
    }
    return {"fields": told}


def lint_rules(rules: Path | None, day: date, *, data: Path | None = None) -> Facts:
    """Look through the rules for what makes no sense; with tables also for rules that never fire on them."""
    from dataclasses import asdict

    from policy.rules import RuleBook
    from policy.rules.facts import read_facts
    from policy.rules.lint import LEVELS, lint

    book = RuleBook.load(rules)
    frame = None if data is None else read_facts(with_columns(opened(data)))
    findings = lint(book, day, frame)
    counts = Counter(finding.level for finding in findings)
    return {
        "rules": len(book.rules),
        "levels": {level: counts[level] for level in LEVELS},
        "findings": [asdict(finding) for finding in findings],
    }


def try_rules(rules: Path | None, *, propose: Path | None = None) -> Facts:
    """Try every test case; with `propose` also write cases for the rules that lack them."""
    from policy.rules import RuleBook
    from policy.rules.cases import failures, untested
    from policy.rules.propose import write_cases

    book = RuleBook.load(rules)
    failed = failures(book.rules, book.cases)
    lacking = [rule for rule, _ in untested(book.rules, book.cases)]
    facts: Facts = {
        "rules": len(book.rules),
        "cases": len(book.cases),
        "failed": [
            {"rule": case.rule, "version": case.version, "expect": case.expect, "place": f"{case.file}, row {case.row}"}
            for case in failed
        ],
        "untested": [f"{rule.id} version {rule.version}" for rule in lacking],
    }
    if propose is not None:
        require_file(propose)
        write_whole(propose, lambda path: facts.update(proposed=write_cases(path, lacking)))
        facts["file"] = str(propose)
    return facts


def diff_rules(old: Path, new: Path) -> Facts:
    """What one folder of rules says otherwise than another."""
    from policy.rules import RuleBook

    before, after = (
        {f"{rule.id}/{rule.version}": rule.spec() for rule in RuleBook.load(folder).rules} for folder in (old, new)
    )
    changed = {
        name: {
            key: {"old": before[name][key], "new": value} for key, value in rule.items() if before[name][key] != value
        }
        for name, rule in after.items()
        if name in before and before[name] != rule
    }
    return {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": changed,
    }
