"""A lender in a box: customers with latent traits, their records as a lender would learn them, and the truth behind.

`people` who they are and the strain they live through; `decisions` requests, true PD and the legacy policy;
`repayment` own loans; `bureau` accounts elsewhere; `consumption` transactions; `declared` what applicants say;
`lender` puts them together; `timeline` the months and the Arrow columns.
"""

from __future__ import annotations

from lenders.simulated.lender import SimulatedLender, simulate, write

__all__ = ["SimulatedLender", "simulate", "write"]
