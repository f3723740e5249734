"""The steps from tables to a monitored champion, each a function of paths that returns plain facts; see also `records`.

In a notebook, use the rooms' own functions; these here add the contracts' check, the registry and the files. One module
for each room that the steps lead through; libraries are imported by the step that needs them.
"""

from pipeline.evaluation import compare, evaluate_model
from pipeline.features import audit_features, explain_features, write_catalogue, write_features
from pipeline.governance import gate, promote, register, retire, rollback
from pipeline.policy import diff_rules, lint_rules, list_fields, list_rules, try_rules
from pipeline.serving import monitor, monitor_parity, score, score_batch, serve
from pipeline.strategy import backtest, explain_change, optimise
from pipeline.training import observe, train, tune

__all__ = [
    "audit_features",
    "backtest",
    "compare",
    "diff_rules",
    "evaluate_model",
    "explain_change",
    "explain_features",
    "gate",
    "lint_rules",
    "list_fields",
    "list_rules",
    "monitor",
    "monitor_parity",
    "observe",
    "optimise",
    "promote",
    "register",
    "retire",
    "rollback",
    "score",
    "score_batch",
    "serve",
    "train",
    "try_rules",
    "tune",
    "write_catalogue",
    "write_features",
]
