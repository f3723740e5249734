"""A credit line that is drawn and repaid at will: daily interest on what is out, to the fen (随借随还，按日计息).

Interest accrues on the principal that is out, for the day of drawing and not for the day of repayment, and bears no
interest itself. A repayment settles the interest accrued so far, rounded half up to the fen, and then principal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from data_contracts.errors import DeclarationError
from policy.products import Rate
from policy.schedule.instalments import whole


@dataclass(frozen=True)
class Movement:
    """Money on a day, in fen: above zero drawn, below zero repaid."""

    on: date
    fen: int


@dataclass(frozen=True)
class Entry:
    """A movement as it stands in the ledger, in fen.

    Parameters
    ----------
    on : date
    drawn, principal, interest : int
        Drawn; repaid as principal and as interest.
    balance : int
        Principal that is out after it.
    accrued : Decimal
        Interest that is not paid after it.
    """

    on: date
    drawn: int
    principal: int
    interest: int
    balance: int
    accrued: Decimal


def ledger(limit: int, rate: Rate, movements: Sequence[Movement]) -> tuple[Entry, ...]:
    """Enter movements into a line.

    Parameters
    ----------
    limit : int
        Fen that may be out at once.
    rate : Rate
    movements : sequence of Movement
        In order of time.

    Raises
    ------
    DeclarationError
        Where they are out of order, more is drawn than the limit leaves, or more repaid than is owed: `owed` tells.

    Examples
    --------
    1,000 CNY for ten days at 0.05 % a day cost 5 CNY.

    >>> drawn, repaid = Movement(date(2027, 3, 1), 100_000), Movement(date(2027, 3, 11), -100_500)
    >>> ledger(500_000, Rate.daily("0.0005"), [drawn, repaid])[-1]
    Entry(on=datetime.date(2027, 3, 11), drawn=0, principal=100000, interest=500, balance=0, accrued=Decimal('0.0000'))
    """
    if any(after.on < before.on for before, after in pairwise(movements)):
        raise DeclarationError("The movements of a line must be in order of time.")
    entries: list[Entry] = []
    for movement in movements:
        balance, accrued = _state(entries, rate, movement.on)
        if movement.fen >= 0:
            if balance + movement.fen > limit:
                raise DeclarationError(
                    f"{movement.fen} fen on {movement.on} exceed the {limit - balance} that are free."
                )
            entries.append(Entry(movement.on, movement.fen, 0, 0, balance + movement.fen, accrued))
            continue
        paid, due = -movement.fen, whole(accrued)
        if paid > balance + due:
            raise DeclarationError(f"{paid} fen on {movement.on} are more than the {balance + due} that are owed.")
        interest = min(paid, due)
        left = accrued - interest if interest < due else Decimal(0) * accrued
        entries.append(Entry(movement.on, 0, paid - interest, interest, balance - (paid - interest), left))
    return tuple(entries)


def owed(entries: Sequence[Entry], rate: Rate, on: date) -> int:
    """Fen that settle the line on a day, principal and interest."""
    balance, accrued = _state(entries, rate, on)
    return balance + whole(accrued)


def _state(entries: Sequence[Entry], rate: Rate, on: date) -> tuple[int, Decimal]:
    """Principal that is out and interest that is not paid, on a day."""
    if not entries:
        return 0, Decimal(0)
    last = entries[-1]
    return last.balance, last.accrued + last.balance * rate.of_day * (on - last.on).days
