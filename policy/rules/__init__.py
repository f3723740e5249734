"""Approval rules in tables that a risk officer edits: eligibility, compliance, bureau, debt burden and the rest.

A table is a CSV or XLSX file with a row a rule (`tables.py`), a condition is a cell such as `age_years < 18`
(`conditions.py`), a field is what contracts and feature sets declare (`fields.py`). All of it is a `RuleBook`; what is
in force on a date is a `RuleSet`, which decides one application with a trace, or fires over a frame of many.

Examples
--------
>>> from datetime import date
>>> from policy.rules import RuleBook
>>> in_force = RuleBook.load().on(date(2026, 1, 1))
>>> verdict = in_force.decide({"product": "emergency_cash", "age_years": 17.0})
>>> verdict.severity, verdict.fired[0].rule.id
('decline', 'ELI-001')
>>> verdict.fired[0].met
(Met(field='age_years', test='< 18', value=17.0),)
"""

from policy.rules.book import RuleBook
from policy.rules.declaration import SEVERITIES, Rule
from policy.rules.ruleset import Fired, Met, RuleSet, Verdict

__all__ = ["SEVERITIES", "Fired", "Met", "Rule", "RuleBook", "RuleSet", "Verdict"]
