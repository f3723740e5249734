"""The steps from tables to a monitored champion, each a function of paths that returns plain facts; see also `records`.

In a notebook, use the rooms' own functions; these here add the contracts' check, the registry and the files. One module
for each room that the steps lead through; libraries are imported by the step that needs them.
"""

from pipeline.evaluation import compare, evaluate_model
from pipeline.features import audit_features, explain_features, write_catalogue, write_features
from pipeline.governance import gate, promote, register, retire, rollback
from pipeline.monitoring import Retraining, Watch, import_outcomes, look, monitor, monitor_parity, open_challenger
from pipeline.serving import score, score_batch, serve
from pipeline.training import observe, train, tune

__all__ = [
    "Retraining",
    "Watch",
    "audit_features",
    "compare",
    "evaluate_model",
    "explain_features",
    "gate",
    "import_outcomes",
    "look",
    "monitor",
    "monitor_parity",
    "observe",
    "open_challenger",
    "promote",
    "register",
    "retire",
    "rollback",
    "score",
    "score_batch",
    "serve",
    "train",
    "tune",
    "write_catalogue",
    "write_features",
]
