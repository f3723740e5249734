"""Faults between rows: told twice, of nobody, of somebody else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lenders.simulated.faults.case import Case, Change, Fault
from lenders.simulated.timeline import Ints

_REFERENCES = {"tradeline_months": "tradeline_id", "payments": "loan_id", "instalments": "loan_id"}


def _duplicate(case: Case) -> Change:
    table, rows = case.again(case.pick(), {})
    return Change(table, rows, np.ones(len(rows), bool))


def _conflicting(case: Case) -> Change:
    """The same key twice with another amount: nothing tells which of the two is right, so both are the fault."""
    column = "balance" if case.name == "tradeline_months" else "amount"
    first = case.pick(case.numbers(column) > 100)
    amount = case.numbers(column)[first] * case.rng.uniform(0.5, 0.9, len(first))
    table, second = case.again(first, {column: amount.astype(np.int64)})
    rows = np.concatenate([first, second])
    return Change(table, rows, np.ones(len(rows), bool))


def _new_names(case: Case, n: int) -> list[str]:
    return [f"{number:016X}" for number in case.rng.integers(0, 2**62, n)]


def _told_again(case: Case) -> Change:
    """The same record under another identifier, some hours later.

    Equal loan repayments may be made at one moment, one for each instalment: there nothing tells the repetition.
    """
    first = case.pick()
    later = (case.rng.uniform(0.05, 2, len(first)) * 86_400e6).astype(np.int64).astype("timedelta64[us]")
    spoilt = {case.contract.key[0]: _new_names(case, len(first)), "known_at": case.moments("known_at")[first] + later}
    table, rows = case.again(first, spoilt)
    alone = np.ones(len(rows), bool)
    if case.name == "transactions":
        alone = case.text("category")[first] != "loan_repayment"
    return Change(table, rows, alone)


def _orphan(case: Case) -> Change:
    rows = case.pick()
    return case.spoil(rows, {_REFERENCES[case.name]: _new_names(case, len(rows))})


def _cut(case: Case) -> Change:
    """An identifier cut short, or written as a number by a spreadsheet."""
    rows, column = case.pick(), _REFERENCES[case.name]
    names = case.text(column)[rows]
    spoilt = [name[:-3] if k % 2 else f"{name[:3]}E+07" for k, name in enumerate(names)]
    return case.spoil(rows, {column: spoilt})


def _strangers(case: Case, rows: Ints) -> npt.NDArray[np.object_]:
    """For each row a customer who is not its own."""
    mine = case.text("customer_id")[rows]
    everybody = np.array(sorted(set(case.text("customer_id")) - {None}), dtype=object)
    drawn = case.rng.integers(0, len(everybody), len(rows))
    taken = everybody[drawn]
    other: npt.NDArray[np.object_] = np.where(taken == mine, everybody[(drawn + 1) % len(everybody)], taken)
    return other


def _identity(case: Case) -> Change | None:
    """A record of one customer's account under another customer.

    An account's records contradict it where they are more than those that were spoilt, or as many and earlier.
    """
    key = case.contract.key[0]
    parent = {"payments": "loans", "tradeline_months": "tradelines", "instalments": "loans"}.get(case.name)
    if parent:
        rows = case.pick()
        return case.spoil(rows, {"customer_id": _strangers(case, rows)})
    known = case.known(case.name, key, "known_at")
    first = known.groupby(key).known_at.min().reindex(case.text(key)).to_numpy().astype("datetime64[us]")
    rows = case.pick(case.moments("known_at") > first)
    if not len(rows):
        return None
    wrong = known.assign(wrong=known.row.isin(rows)).groupby(key).wrong.agg(["sum", "size"])
    mine = wrong.loc[case.text(key)[rows].tolist()]
    return case.spoil(rows, {"customer_id": _strangers(case, rows)}, (2 * mine["sum"] <= mine["size"]).to_numpy())


def _another_person(case: Case) -> Change | None:
    """A later application of a customer tells another age or gender than the first."""
    known = case.known("applications", "customer_id", "applied_at")
    first = known.groupby("customer_id").applied_at.min().reindex(case.text("customer_id"))
    rows = case.pick(case.moments("applied_at") > first.to_numpy().astype("datetime64[us]"))
    if not len(rows):
        return None
    flips = case.rng.random(len(rows)) < 0.5
    gender, age = case.text("gender")[rows], case.numbers("age_years")[rows]
    away = case.rng.uniform(8, 25, len(rows))
    other = np.where(age + away < 70, age + away, age - away)
    flipped = np.where(gender == "male", "female", "male")
    return case.spoil(rows, {"gender": np.where(flips, flipped, gender), "age_years": np.where(flips, age, other)})


def _without_consent(case: Case) -> Change | None:
    """A record of a customer who withdrew the consent before it was learned."""
    if not {"consents"} & {*case.tables, *case.accepted}:
        return None
    known = case.known("consents", "customer_id", "provider", "expires_at", "occurred_at")
    mine = known[known.provider == case.contract.use.provider]
    until = mine.groupby("customer_id").expires_at.max().dropna()
    until = until[mine.groupby("customer_id").occurred_at.max().reindex(until.index) < until]  # not given anew
    learned = case.moments("known_at")
    names, ends = until.index.to_numpy(object), until.to_numpy().astype("datetime64[us]")
    if not len(names):
        return None
    rows = case.pick(learned > ends.min())
    order = np.argsort(ends)
    gone = np.searchsorted(ends[order], learned[rows])  # how many had withdrawn by then
    return case.spoil(rows, {"customer_id": names[order][case.rng.integers(0, gone)]}) if len(rows) else None


LINK_FAULTS = (
    Fault("duplicate_record", "a record told twice", "记录重复", "always", "row",
          ("transactions", "tradelines", "tradeline_months", "inquiries", "payments", "invoices"), _duplicate),
    Fault("conflicting_record", "one key, two amounts", "同键不同值", "always; both rows are the fault", "row",
          ("transactions", "payments", "tradeline_months"), _conflicting),
    Fault("duplicate_tradeline", "an account under a second identifier", "账户以另一标识重复", "always", "row",
          ("tradelines",), _told_again),
    Fault("told_again", "a record under a second identifier", "记录以另一标识重复", "unless it may happen twice", "row",
          ("transactions", "payments", "inquiries", "invoices"), _told_again),
    Fault("orphan", "a record of an account that nobody knows", "孤立记录", "always", "row",
          tuple(_REFERENCES), _orphan),
    Fault("cut_identifier", "an identifier cut short or turned into a number", "标识被截断", "always", "row",
          tuple(_REFERENCES), _cut),
    Fault("identity_clash", "a record under another customer", "客户身份冲突",
          "by the account it refers to, or more or earlier records of the account", "row",
          ("payments", "tradeline_months", "tradelines", "loans"), _identity),
    Fault("another_person", "another age or gender than before", "年龄或性别与此前不符",
          "against the first application", "row", ("applications",), _another_person),
    Fault("without_consent", "a record of a customer who withdrew the consent", "客户已撤回授权", "always", "row",
          ("transactions", "inquiries", "invoices"), _without_consent),
)  # fmt: skip
