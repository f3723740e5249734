"""Which tables may decide what: a feature set reads only what the lender's authorisations allow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from data_contracts.declare import DecisionPoint
from data_contracts.errors import DeclarationError
from data_contracts.tables import TABLES


def require_decision_point(decision_point: str) -> None:
    """Stop where there is no such decision point; `DeclarationError` names those there are."""
    known = get_args(DecisionPoint)
    if decision_point not in known:
        raise DeclarationError(f"There is no decision point {decision_point!r}; there are {', '.join(known)}.")


def require_authorised(tables: Iterable[str], decision_point: str) -> None:
    """Refuse tables whose records may not be used for a decision.

    Parameters
    ----------
    tables : iterable of str
        Names of canonical tables that features are computed from.
    decision_point : str
        What is decided.

    Raises
    ------
    DeclarationError
        Where the `Use` of a table does not list the decision point, or there is no such table or decision point. The
        message lists every fault.

    Examples
    --------
    >>> require_authorised(["loans", "inquiries"], "application")
    >>> require_authorised(["loans", "inquiries"], "collection")
    Traceback (most recent call last):
    data_contracts.errors.DeclarationError: Records of these tables may not be used at collection:
      inquiries (bureau): only at application, behaviour, early_warning
    Leave them out of what is computed, or change the table's use in data_contracts/uses.py where an authorisation
    allows it.
    """
    require_decision_point(decision_point)
    names = sorted(set(tables))
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        raise DeclarationError(f"There is no table {', '.join(unknown)}; there are {', '.join(TABLES)}.")
    refused = [name for name in names if decision_point not in TABLES[name].use.decision_points]
    if refused:
        lines = "\n".join(f"  {name} ({TABLES[name].use.provider}): {_allowed(name)}" for name in refused)
        raise DeclarationError(
            f"Records of these tables may not be used at {decision_point}:\n{lines}\n"
            "Leave them out of what is computed, or change the table's use in data_contracts/uses.py where an "
            "authorisation allows it."
        )


def _allowed(name: str) -> str:
    points = TABLES[name].use.decision_points
    return f"only at {', '.join(points)}" if points else "at no decision point, it says what became of a loan"
