"""Shadow strategies: the same application decided beside the live decision, logged and never answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from policy.decision import Decision, Policy, Scored
from policy.replay import replay_differences

_TOLD = ("outcome", "amount", "term_months", "rate")


def decide_in_shadow(
    live: Decision,
    shadows: Mapping[str, Policy],
    application: Mapping[str, Any],
    features: Mapping[str, float],
    scored: Scored,
    as_of: datetime,
) -> list[dict[str, Any]]:
    """Decide an application by every shadow, after it was decided by the live policy.

    A shadow that fails is told with its error's name and disturbs nobody: the live decision is made already. The answer
    to the applicant must not wait for this, nor contain it.

    Returns
    -------
    list of dict
        JSON values, one a shadow: `shadow`, its `identities`, `outcome`, `amount`, `term_months`, `rate`, `reasons`
        (codes), `agrees` (the same outcome, amount and rate as the live decision), `differs` (parts that do, causes
        first) and `error`, which is None where it decided. No fact of the applicant is repeated.
    """
    before = live.record()
    return [_beside(before, name, policy, application, features, scored, as_of) for name, policy in shadows.items()]


def agreement(records: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Count what a shadow decided beside the live policy.

    Parameters
    ----------
    records : iterable of (str, mapping)
        Live outcome, and the shadow's record.

    Examples
    --------
    >>> same = {"outcome": "approve", "agrees": True, "error": None}
    >>> other = {"outcome": "refer", "agrees": False, "error": None}
    >>> agreement([("approve", same), ("approve", other)])
    {'decisions': 2, 'agree': 1, 'errors': 0, 'moves': {'approve to approve': 1, 'approve to refer': 1}}
    """
    told = list(records)
    decided = [(live, record) for live, record in told if record["error"] is None]
    moves = Counter(f"{live} to {record['outcome']}" for live, record in decided)
    return {
        "decisions": len(told),
        "agree": sum(bool(record["agrees"]) for _, record in decided),
        "errors": len(told) - len(decided),
        "moves": dict(sorted(moves.items())),
    }


def _beside(
    before: Mapping[str, Any], name: str, policy: Policy, application: Mapping[str, Any], features: Mapping[str, float],
    scored: Scored, as_of: datetime,
) -> dict[str, Any]:  # fmt: skip
    found: dict[str, Any] = {"shadow": name, "identities": policy.identities, "error": None}
    try:
        after = policy.decide(application, features, scored, as_of).record()
    except Exception as fault:  # whatever it is, the live decision stands
        return {**found, **dict.fromkeys(_TOLD), "reasons": [], "agrees": False, "differs": [],
                "error": type(fault).__name__}  # fmt: skip
    # what the live record says of data, features, model and calibrator holds for the shadow, too
    same = {**after, "identities": {**before["identities"], **after["identities"]}}
    return {
        **found,
        **{key: after[key] for key in _TOLD},
        "reasons": [reason["code"] for reason in after["reasons"]],
        "agrees": all(before[key] == after[key] for key in _TOLD),
        "differs": list(dict.fromkeys(one.part for one in replay_differences(before, same))),
    }
