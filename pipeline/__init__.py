"""The steps from tables to a monitored champion, each a function of paths that returns plain facts; see also `records`.

In a notebook, use the rooms' own functions; these here add the contracts' check, the registry and the files. One module
for each room that the steps lead through; libraries are imported by the step that needs them.
"""

from pipeline.decision_log import export_log, prune_log, verify_log
from pipeline.evaluation import compare, evaluate_model
from pipeline.features import audit_features, explain_features, write_catalogue, write_features
from pipeline.governance import gate, promote, register, retire, rollback
from pipeline.lending import decide, decide_review, list_products, list_reviews, product_schedule, show_review
from pipeline.monitoring import Retraining, Watch, import_outcomes, look, monitor, monitor_parity, open_challenger
from pipeline.policy import diff_rules, lint_rules, list_fields, list_rules, try_rules
from pipeline.replay import replay, replay_many
from pipeline.serving import bento, score, score_batch, serve, snapshot
from pipeline.strategy import backtest, explain_change, optimise
from pipeline.training import observe, train, tune

__all__ = [
    "Retraining",
    "Watch",
    "audit_features",
    "backtest",
    "bento",
    "compare",
    "decide",
    "decide_review",
    "diff_rules",
    "evaluate_model",
    "explain_change",
    "explain_features",
    "export_log",
    "gate",
    "import_outcomes",
    "lint_rules",
    "list_fields",
    "list_products",
    "list_reviews",
    "list_rules",
    "look",
    "monitor",
    "monitor_parity",
    "observe",
    "open_challenger",
    "optimise",
    "product_schedule",
    "promote",
    "prune_log",
    "register",
    "replay",
    "replay_many",
    "retire",
    "rollback",
    "score",
    "score_batch",
    "serve",
    "show_review",
    "snapshot",
    "train",
    "try_rules",
    "tune",
    "verify_log",
    "write_catalogue",
    "write_features",
]
