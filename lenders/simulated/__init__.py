"""A lender in a box: customers with latent traits, their records as a lender would learn them, and the truth behind.

`scenarios` what may befall it; `people` who they are and the strain they live through; `rings` fraud; `requests` who
asks for what; `decisions` true PD and the legacy policy; `schedules`, `lines`, `repayment` own loans and credit lines;
`accounts`, `bureau` what they owe elsewhere; `flows`, `consumption` transactions; `invoices` businesses; `declared`,
`devices` what applications say; `consents` what may be used; `feeds` how records arrive; `lender` puts them together;
`timeline` the months and the Arrow columns.
"""

from __future__ import annotations

from lenders.simulated.lender import SimulatedLender, simulate, write
from lenders.simulated.scenarios import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Scenario", "SimulatedLender", "simulate", "write"]
