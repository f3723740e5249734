"""The space of a search: what is declared for each parameter, every fault of it, and how a value is drawn from it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from data_contracts.errors import DeclarationError
from training.parameters import value_faults

if TYPE_CHECKING:
    import optuna

TUNABLE = (
    "learning_rate",
    "max_depth",
    "min_child_weight",
    "subsample",
    "colsample_bytree",
    "reg_alpha",
    "reg_lambda",
    "gamma",
    "max_bin",
    "n_estimators",
)
_WHOLE = ("max_depth", "max_bin", "n_estimators")


def check_space(space: Mapping[str, Any]) -> None:
    """Refuse a search space that is declared wrongly; the message lists every fault.

    Each entry is `{low, high}` with `log` or `step` if wanted, or `{choices}`.

    Raises
    ------
    DeclarationError
        An unknown parameter or key, bounds that are not numbers in order, a whole-number parameter with fractions.

    Examples
    --------
    >>> check_space({"max_depth": {"low": 2, "high": 6}, "learning_rate": {"low": 0.02, "high": 0.2, "log": True}})
    """
    faults = [] if space else ["the space is empty; declare at least one parameter"]
    for name, declared in space.items():
        if name not in TUNABLE:
            near = difflib.get_close_matches(name, TUNABLE, n=1)
            told = f"did you mean {near[0]}?" if near else f"tunable are {', '.join(TUNABLE)}"
            faults.append(f"{name}: is not tunable; {told}")
        if not isinstance(declared, Mapping):
            faults.append(f"{name}: must be a table with low and high, or choices, not {declared!r}")
        else:
            found = [f"{name}: {fault}" for fault in _faults(declared, whole=name in _WHOLE)]
            faults += found or (_out_of_bounds(name, declared) if name in TUNABLE else [])
    if faults:
        raise DeclarationError("search space of the tuning: " + "; ".join(faults))


def suggest(trial: optuna.Trial, name: str, declared: Mapping[str, Any]) -> Any:
    """Let Optuna draw a parameter's value from its declaration."""
    if "choices" in declared:
        return trial.suggest_categorical(name, list(declared["choices"]))
    low, high, log = declared["low"], declared["high"], bool(declared.get("log", False))
    if name in _WHOLE:
        return trial.suggest_int(name, low, high, step=declared.get("step", 1), log=log)
    return trial.suggest_float(name, low, high, step=declared.get("step"), log=log)


def _faults(declared: Mapping[str, Any], *, whole: bool) -> list[str]:
    """Every fault of one parameter's declaration."""
    unknown = sorted(set(declared) - {"low", "high", "log", "step", "choices"})
    faults = [f"unknown key {key!r}; keys are low, high, log, step, choices" for key in unknown]
    if "choices" in declared:
        choices = declared["choices"]
        if set(declared) & {"low", "high", "log", "step"}:
            faults.append("choices stand alone, without low, high, log or step")
        if not isinstance(choices, list | tuple) or not choices or not all(_is_number(c, whole) for c in choices):
            faults.append(f"choices must be a list of {'whole ' if whole else ''}numbers, not {choices!r}")
        return faults
    missing = [key for key in ("low", "high") if key not in declared]
    if missing:
        return [*faults, f"{' and '.join(missing)} missing"]
    low, high, log, step = declared["low"], declared["high"], declared.get("log", False), declared.get("step")
    if not (_is_number(low, whole) and _is_number(high, whole)):
        return [*faults, f"low and high must be {'whole ' if whole else ''}numbers, not {low!r} and {high!r}"]
    if low > high:
        faults.append(f"low {low} is above high {high}")
    if not isinstance(log, bool):
        faults.append(f"log must be true or false, not {log!r}")
    elif log and low <= 0:
        faults.append(f"log needs low above 0, not {low}")
    if step is not None and (log or not _is_number(step, whole) or step <= 0):
        faults.append(f"step must be a {'whole ' if whole else ''}number above 0, without log, not {step!r}")
    return faults


def _out_of_bounds(name: str, declared: Mapping[str, Any]) -> list[str]:
    """What the parameter itself may not be, whatever the search would like."""
    values = declared["choices"] if "choices" in declared else (declared["low"], declared["high"])
    return [fault for value in dict.fromkeys(values) for fault in value_faults({name: value})]


def _is_number(value: Any, whole: bool) -> bool:
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(np.isfinite(value))
