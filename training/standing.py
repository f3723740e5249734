"""Who is champion of a model, who was before, and what is retired: read from the acts in the model register."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from data_contracts.months import utc

Action = Literal["registered", "appointed", "judged", "promoted", "rolled_back", "retired"]
NAMES_CHAMPION = ("appointed", "promoted", "rolled_back")


@dataclass(frozen=True)
class Act:
    """What was done with a version of a model, by whom and why.

    Parameters
    ----------
    model, version : str
        As in the registry.
    action : str
        `registered` by its author; `appointed`, the first version of a model, champion without a gate; `judged` by a
        gate; `promoted` by an approver; `rolled_back`: made champion again; `retired`.
    by : str
        Who did it.
    at : datetime
        When.
    bundle_identity : str
        Of the version.
    verdict_sha256 : str
        Of the verdict that was given or relied upon; empty without.
    reason : str
        Why, in the words of who did it.
    details : mapping
        Further facts, JSON values only.
    """

    model: str
    version: str
    action: Action
    by: str
    at: datetime
    bundle_identity: str
    verdict_sha256: str = ""
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def moment(self) -> str:
        """`at` in UTC as text."""
        return f"{utc(self.at).isoformat(timespec='milliseconds')}Z"


@dataclass(frozen=True)
class Standing:
    """Where a model stands after some acts.

    Parameters
    ----------
    champion : str or None
        Version that answers; None where there is none yet, or it was retired.
    earlier : tuple of str
        Champions before, the last one last, without those that were retired or rolled back from.
    retired : dict of str to str
        Versions that are not to be used any more, and why.
    authors : dict of str to str
        Who registered each version; empty text where it is not known.
    verdicts : dict of str to Act
        The latest judgement of each version since the champion last changed: an earlier one held against another.
    """

    champion: str | None = None
    earlier: tuple[str, ...] = ()
    retired: Mapping[str, str] = field(default_factory=dict)
    authors: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Act] = field(default_factory=dict)


def standing(acts: Iterable[Act]) -> Standing:
    """Follow the acts on one model, in their order.

    Examples
    --------
    >>> def act(action, version):
    ...     return Act("cash", version, action, "someone", datetime(2026, 1, 1), "")
    >>> found = standing([act("appointed", "1"), act("promoted", "2"), act("promoted", "3"), act("rolled_back", "2")])
    >>> found.champion, found.earlier
    ('2', ('1',))
    """
    champion: str | None = None
    line: list[str] = []  # champions that one may go back to, with the present one last
    retired: dict[str, str] = {}
    authors: dict[str, str] = {}
    verdicts: dict[str, Act] = {}
    for act in acts:
        if act.action == "registered":
            authors[act.version] = act.by
        elif act.action == "judged":
            verdicts[act.version] = act
        elif act.action == "retired":
            retired[act.version] = act.reason
            line = [version for version in line if version != act.version]
            champion = None if champion == act.version else champion
        elif act.action == "rolled_back":
            line = line[: line.index(act.version) + 1] if act.version in line else [*line, act.version]
        else:
            line = [*(version for version in line if version != act.version), act.version]
        if act.action in NAMES_CHAMPION:
            champion, verdicts = act.version, {}
    earlier = line[:-1] if champion is not None else line
    return Standing(champion, tuple(earlier), retired, authors, verdicts)
