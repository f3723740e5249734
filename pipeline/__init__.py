"""The steps from tables to a monitored champion, each a function of paths that returns plain facts; see also `records`.

In a notebook, use the rooms' own functions; these here add the contracts' check, the registry and the files. One module
for each room that the steps lead through; libraries are imported by the step that needs them.
"""

from pipeline.evaluation import compare, evaluate_model
from pipeline.features import audit_features, explain_features, write_catalogue, write_features
from pipeline.governance import gate, promote, register, retire, rollback
from pipeline.lending import decide, decide_review, list_products, list_reviews, product_schedule, show_review
from pipeline.policy import diff_rules, lint_rules, list_fields, list_rules, try_rules
from pipeline.serving import monitor, monitor_parity, score, score_batch, serve
from pipeline.training import observe, train, tune

__all__ = [
    "audit_features",
    "compare",
    "decide",
    "decide_review",
    "diff_rules",
    "evaluate_model",
    "explain_features",
    "gate",
    "lint_rules",
    "list_fields",
    "list_products",
    "list_reviews",
    "list_rules",
    "monitor",
    "monitor_parity",
    "observe",
    "product_schedule",
    "promote",
    "register",
    "retire",
    "rollback",
    "score",
    "score_batch",
    "serve",
    "show_review",
    "train",
    "try_rules",
    "tune",
    "write_catalogue",
    "write_features",
]
