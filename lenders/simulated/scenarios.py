"""What can befall a simulated lender: scenarios are arguments of `simulate`, declared here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from data_contracts.errors import SourceError
from lenders.simulated.timeline import HISTORY_MONTHS, Timeline


@dataclass(frozen=True)
class Scenario:
    """What is out of the ordinary, and from when.

    Parameters
    ----------
    zh, en : str
        What it is, for people.
    onset : float
        Share of the months with applications that pass before it begins.
    headwind : float
        Added to the macro path, reached within four months.
    newcomers : float
        Share of the customers that a new channel brings.
    ringed : float
        Share of the customers who belong to fraud rings from the onset on.
    late_months, lost_months : int
        Months in which the bureau delivers nothing: what it makes good afterwards, then what never comes.
    in_yuan : float
        Share of the customers whose account data come in yuan where fen are due.

    Examples
    --------
    >>> SCENARIOS["downturn"].en
    'The economy turns: from the onset on more lose work, fall behind and default'
    """

    zh: str
    en: str
    onset: float = 0.55
    headwind: float = 0.0
    newcomers: float = 0.0
    ringed: float = 0.0
    late_months: int = 0
    lost_months: int = 0
    in_yuan: float = 0.0

    def first_month(self, timeline: Timeline) -> int:
        """Month in the grid with which it begins; month 20 of 36 by default."""
        return HISTORY_MONTHS + round(self.onset * timeline.months)


SCENARIOS: Mapping[str, Scenario] = MappingProxyType({
    "baseline": Scenario("平常年景", "Ordinary years"),
    "downturn": Scenario(
        "经济下行：自某月起失业、逾期与违约增多",
        "The economy turns: from the onset on more lose work, fall behind and default",
        headwind=1.25,
    ),
    "channel_shift": Scenario(
        "渠道变化：新合作渠道带来就业时间更短、风险更高的申请人",
        "A new channel brings applicants who are shorter in their jobs and riskier",
        newcomers=0.35,
    ),
    "bureau_outage": Scenario(
        "征信中断：数月无新报告，其后部分补报、部分不再补报",
        "The bureau falls silent: some months are delivered late, some never",
        late_months=2,
        lost_months=2,
    ),
    "unit_break": Scenario(
        "单位错误：一家账户数据供应商以元代替分报送",
        "A supplier of account data delivers yuan where fen are due",
        in_yuan=0.3,
    ),
    "fraud_ring": Scenario(
        "欺诈团伙：多个团伙在数日内用少数设备经同一渠道申请，首期即违约",
        "Fraud rings apply within days from a few devices through one channel and never pay",
        ringed=0.025,
    ),
})  # fmt: skip


def scenario_called(name: str) -> Scenario:
    """Return a scenario by name; `SourceError` names those there are."""
    if name not in SCENARIOS:
        raise SourceError(f"There is no scenario {name!r}. Choose one of: {', '.join(SCENARIOS)}.")
    return SCENARIOS[name]
