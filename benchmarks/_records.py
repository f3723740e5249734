"""Records of a made-up lender for the benchmarks: as many as are asked for, a million a second.

The tables have the simulated lender's proportions. Nothing in them tells who defaults. What a feature's cost depends
on is there: history of years, months as files, skew between customers, ties in time, missing values, accounts and
loans that are reported again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.tables import TABLES

Ints = npt.NDArray[np.int64]
Columns = dict[str, Any]
SHARES = {
    "transactions": 0.51,
    "tradeline_months": 0.15,
    "invoices": 0.12,
    "instalments": 0.07,
    "payments": 0.045,
    "tradelines": 0.04,
    "inquiries": 0.025,
    "card_months": 0.017,
    "loans": 0.013,
    "loan_months": 0.01,
}
"""Part of the records that lie in each table."""
_APPLICATIONS_PER_CUSTOMER = 1.25
_HOUR, _DAY = 3_600_000_000, 86_400_000_000
_START = int(np.datetime64("2022-01-01", "us").astype(np.int64))
_MONTHS = 36
_MONTH_ENDS: Ints = np.arange("2022-02", "2025-02", dtype="datetime64[M]").astype("datetime64[us]").astype(np.int64)
_MONTH_ENDS -= 8 * _HOUR + 1_000_000  # the last second of the month in China


def lender_tables(applications: int, records: int, seed: int = 1) -> dict[str, pa.Table]:
    """Canonical tables of a lender with so many applications and records, each table in the order it was learned in."""
    rng = np.random.default_rng(seed)
    customers = max(1, round(applications / _APPLICATIONS_PER_CUSTOMER))
    size = {name: round(share * records) for name, share in SHARES.items()}
    size["transactions"] += records - sum(size.values())
    tradelines = _tradelines(rng, size["tradelines"], customers)
    loans = _loans(rng, size["loans"], customers)
    instalments = _instalments(rng, size["instalments"], loans)
    made = {
        "applications": _applications(rng, applications, customers),
        "tradelines": tradelines,
        "tradeline_months": _tradeline_months(rng, size["tradeline_months"], tradelines),
        "inquiries": _inquiries(rng, size["inquiries"], customers),
        "transactions": _transactions(rng, size["transactions"], customers),
        "loans": loans,
        "loan_months": _loan_months(rng, size["loan_months"], loans),
        "instalments": instalments,
        "payments": _payments(rng, size["payments"], instalments),
        "card_months": _card_months(rng, size["card_months"], customers),
        "invoices": _invoices(rng, size["invoices"], customers),
    }
    return {name: _table(name, columns) for name, columns in made.items()}


def _applications(rng: np.random.Generator, n: int, customers: int) -> Columns:
    return {
        "application_id": ids("A", np.arange(n)),
        "customer_id": ids("C", np.arange(n) % customers),
        "applied_at": _START + (rng.uniform(0.5, 1.0, n) * _MONTHS * 30 * _DAY).astype(np.int64),
        "product": _words(rng, n, "applications", "product"),
        "amount_requested": _fen(rng, n, 13.5),
        "term_months": rng.choice([6, 12, 24, 36], n),
        "instalment_monthly": _some(rng, _fen(rng, n, 11)),
        "income_monthly": _some(rng, _fen(rng, n, 13.5)),
        "household_size": _some(rng, rng.integers(1, 6, n)),
        "external_score_1": _some(rng, rng.random(n), 0.5),
        "external_score_2": _some(rng, rng.random(n)),
        "external_score_3": _some(rng, rng.random(n)),
    }


def _tradelines(rng: np.random.Generator, n: int, customers: int) -> Columns:
    """Accounts; a third of the rows reports an account again."""
    accounts = n - n // 3
    which = np.concatenate([np.arange(accounts), np.arange(n - accounts)])
    opened = (_START + (rng.uniform(-2.0, 1.0, accounts) * _MONTHS * 30 * _DAY).astype(np.int64))[which]
    again = np.arange(n) >= accounts
    learned = np.maximum(opened, _START) + (rng.uniform(0, 10, n) * _DAY).astype(np.int64)
    status = rng.choice(4, n, p=[0.6, 0.37, 0.02, 0.01])
    amount = _fen(rng, accounts, 14.5)[which]
    return {
        "tradeline_id": ids("B", which),
        "customer_id": ids("C", _skewed(rng, accounts, customers)[which]),
        "occurred_at": opened,
        "known_at": learned + again * (rng.integers(20, 400, n) * _DAY),
        "kind": _words(rng, accounts, "tradelines", "kind").take(pa.array(which)),
        "status": _coded(status, ("active", "closed", "sold", "bad")),
        "closed_at": _some(rng, opened + rng.integers(30, 900, n) * _DAY, status != 1),
        "due_at": _some(rng, opened + rng.integers(300, 2000, n) * _DAY),
        "amount": _some(rng, amount),
        "credit_limit": _some(rng, amount, 0.6),
        "balance": (amount * rng.random(n)).astype(np.int64),
        "instalment_monthly": _some(rng, amount // 24),
        "overdue_amount": (amount * 0.1 * (rng.random(n) < 0.05)).astype(np.int64),
        "overdue_amount_max": _some(rng, (amount * 0.2 * (rng.random(n) < 0.1)).astype(np.int64)),
        "overdue_days": rng.integers(1, 200, n) * (rng.random(n) < 0.05),
        "prolonged_count": np.zeros(n, dtype=np.int64),
    }


def _tradeline_months(rng: np.random.Generator, n: int, tradelines: Columns) -> Columns:
    """Twenty months of some accounts, one in a hundred told again."""
    again = n // 100
    first = n - again
    accounts = -(-first // 20)
    at, month = np.arange(first) % accounts, np.arange(first) // accounts
    month += rng.integers(0, _MONTHS - 20, accounts)[at]
    which = np.concatenate([np.arange(first), rng.permutation(first)[:again]])
    at, month = at[which], month[which]
    late = np.where(np.arange(n) < first, 0, 30 * _DAY)
    people = tradelines["customer_id"]
    return {
        "tradeline_id": ids("B", at),
        "customer_id": people.take(pa.array(at)),
        "occurred_at": _MONTH_ENDS[month],
        "known_at": _MONTH_ENDS[month] + late + rng.integers(1, 9 * 24, n) * _HOUR,
        "status": _coded(rng.choice(3, n, p=[0.8, 0.15, 0.05]), ("open", "closed", "unknown")),
        "overdue_bucket": _some(rng, rng.choice(6, n, p=[0.92, 0.04, 0.02, 0.01, 0.005, 0.005])),
        "balance": _some(rng, _fen(rng, n, 13)),
    }


def _inquiries(rng: np.random.Generator, n: int, customers: int) -> Columns:
    return {
        "inquiry_id": ids("Q", np.arange(n)),
        "customer_id": ids("C", _skewed(rng, n, customers)),
        **_happened(rng, n, 10),
        "reason": _words(rng, n, "inquiries", "reason"),
        "institution_kind": _words(rng, n, "inquiries", "institution_kind"),
        "institution": _coded(rng.integers(0, 40, n), tuple(f"institution_{k:02d}" for k in range(40))),
    }


def _transactions(rng: np.random.Generator, n: int, customers: int) -> Columns:
    """Payments by day and night, wages on a day of the month; one in five hundred is corrected."""
    again = n // 500
    first = n - again
    which = np.concatenate([np.arange(first), rng.permutation(first)[:again]])
    who, happened = _skewed(rng, first, customers), _happened(rng, first, 7)
    wages = rng.random(first) < 0.05
    pays = _MONTH_ENDS[rng.integers(0, _MONTHS, first)] - (20 * _DAY - who % 20 * _HOUR)
    moment = np.where(wages, pays, happened["occurred_at"])
    learned = moment + happened["known_at"] - happened["occurred_at"]
    category = np.where(wages, 0, rng.integers(1, 21, first))
    kinds = TABLES["transactions"].column("category").categories
    return {
        "transaction_id": ids("T", which),
        "customer_id": ids("C", who[which]),
        "occurred_at": moment[which],
        "known_at": learned[which] + np.where(np.arange(n) < first, 0, 3 * _DAY),
        "amount": np.where(wages[which], 900_000, 1) + _fen(rng, n, 9.5),
        "direction": _coded((~wages & (rng.random(first) < 0.9))[which].astype(np.int64), ("in", "out")),
        "category": _coded(category[which], kinds),
        "channel": _words(rng, n, "transactions", "channel"),
        "counterparty_kind": _words(rng, n, "transactions", "counterparty_kind"),
    }


def _loans(rng: np.random.Generator, n: int, customers: int) -> Columns:
    """Requests; a fifth of the rows says how an earlier one went on."""
    requests = n - n // 5
    which = np.concatenate([np.arange(requests), np.arange(n - requests)])
    again = np.arange(n) >= requests
    decided = _happened(rng, requests, 0)["occurred_at"][which]
    amount = _fen(rng, requests, 13.5)[which]
    status = np.where(again, 4, rng.choice(4, requests, p=[0.6, 0.3, 0.07, 0.03])[which])
    learned = decided + again * (rng.integers(100, 500, n) * _DAY)
    return {
        "loan_id": ids("L", which),
        "customer_id": ids("C", _skewed(rng, requests, customers)[which]),
        "occurred_at": decided,
        "known_at": learned,
        "product": _words(rng, requests, "loans", "product").take(pa.array(which)),
        "status": _coded(status, ("granted", "refused", "cancelled", "unused", "closed")),
        "amount_requested": amount,
        "principal": _some(rng, (amount * 0.9).astype(np.int64), (status > 0) & (status < 4)),
        "down_payment": _some(rng, amount // 10),
        "instalment_monthly": _some(rng, amount // 12),
        "term_months": rng.choice([6, 12, 24], n),
        "annual_rate": _some(rng, rng.uniform(0.05, 0.24, n)),
        "closed_at": _some(rng, learned, ~again),
    }


def _loan_months(rng: np.random.Generator, n: int, loans: Columns) -> Columns:
    many = max(1, min(-(-n // 8), len(loans["occurred_at"]) * 4 // 5))
    at, month = np.arange(n) % many, np.arange(n) // many
    moment = _MONTH_ENDS[(month + rng.integers(0, _MONTHS, many)[at]) % _MONTHS]
    return {
        "loan_id": ids("L", at),
        "customer_id": loans["customer_id"].take(pa.array(at)),
        "occurred_at": moment,
        "known_at": moment + rng.integers(1, 50, n) * _HOUR,
        "status": _words(rng, n, "loan_months", "status"),
        "instalments_left": _some(rng, rng.integers(0, 24, n)),
        "dpd": rng.integers(1, 90, n) * (rng.random(n) < 0.1),
    }


def _instalments(rng: np.random.Generator, n: int, loans: Columns) -> Columns:
    """Schedules of twelve; one in fifty is put off."""
    again = n // 50
    first = n - again
    many = max(1, min(-(-first // 12), len(loans["occurred_at"]) * 4 // 5))
    at, number = np.arange(first) % many, np.arange(first) // many
    began = loans["occurred_at"][at]
    due = (began // _DAY + (number + 1) * 30) * _DAY + 16 * _HOUR - 1_000_000
    which = np.concatenate([np.arange(first), rng.permutation(first)[:again]])
    moved = np.where(np.arange(n) < first, 0, 20 * _DAY)
    return {
        "instalment_id": ids("I", which),
        "loan_id": ids("L", at[which]),
        "customer_id": loans["customer_id"].take(pa.array(at[which])),
        "occurred_at": began[which],
        "known_at": began[which] + moved,
        "due_at": due[which] + moved,
        "number": number[which] + 1,
        "amount_due": _fen(rng, first, 11)[which],
    }


def _payments(rng: np.random.Generator, n: int, instalments: Columns) -> Columns:
    """Payments of instalments, most in full and about the day they are due; some in two parts."""
    settles = rng.integers(0, len(instalments["due_at"]) * 49 // 50, n)
    settles[::2] = np.arange(len(settles[::2]))
    paid = instalments["due_at"][settles] + (rng.normal(0, 6, n) * _DAY).astype(np.int64)
    paid = np.maximum(paid, instalments["occurred_at"][settles])
    settled, of_loan, of_customer = (
        instalments[name].take(pa.array(settles)) for name in ("instalment_id", "loan_id", "customer_id")
    )
    amount = instalments["amount_due"][settles] * np.where(rng.random(n) < 0.8, 1.0, 0.6)
    return {
        "payment_id": ids("P", np.arange(n)),
        "loan_id": of_loan,
        "instalment_id": settled,
        "customer_id": of_customer,
        "occurred_at": paid,
        "known_at": paid + rng.integers(0, 12, n) * _HOUR,
        "amount": amount.astype(np.int64),
    }


def _card_months(rng: np.random.Generator, n: int, customers: int) -> Columns:
    cards = -(-n // 15)
    at, month = np.arange(n) % cards, np.arange(n) // cards
    moment = _MONTH_ENDS[month + rng.integers(0, _MONTHS - 15, cards)[at]]
    limit = _fen(rng, cards, 14.5)[at]
    balance = (limit * rng.random(n) * (rng.random(n) < 0.9)).astype(np.int64)
    return {
        "card_id": ids("K", at),
        "customer_id": ids("C", _skewed(rng, cards, customers)[at]),
        "occurred_at": moment,
        "known_at": moment + rng.integers(1, 72, n) * _HOUR,
        "credit_limit": _some(rng, limit),
        "balance": balance,
        "minimum_due": balance // 20,
        "paid": (balance * rng.random(n)).astype(np.int64),
        "drawn": balance // 3,
        "drawn_cash": balance // 30 * (rng.random(n) < 0.2),
        "drawings": rng.integers(0, 30, n),
        "drawings_cash": rng.integers(0, 2, n),
        "dpd": rng.integers(1, 90, n) * (rng.random(n) < 0.05),
    }


def _invoices(rng: np.random.Generator, n: int, customers: int) -> Columns:
    """Invoices of small businesses; one in two hundred is void later."""
    again = n // 200
    first = n - again
    which = np.concatenate([np.arange(first), rng.permutation(first)[:again]])
    late = np.arange(n) >= first
    happened = _happened(rng, first, 60)
    amount = _fen(rng, first, 13) * rng.choice([1, -1], first, p=[0.97, 0.03])
    return {
        "invoice_id": ids("F", which),
        "customer_id": ids("C", _skewed(rng, first, customers)[which]),
        "occurred_at": happened["occurred_at"][which],
        "known_at": happened["known_at"][which] + late * 10 * _DAY,
        "direction": _words(rng, first, "invoices", "direction").take(pa.array(which)),
        "status": _coded(late.astype(np.int64), ("valid", "void")),
        "amount": amount[which],
        "tax": _some(rng, (amount * 0.06).astype(np.int64)[which]),
        "counterparty_id": _some(rng, np.arange(first) % 997, 0.02).cast(pa.string()).take(pa.array(which)),
    }


def _skewed(rng: np.random.Generator, n: int, customers: int) -> Ints:
    """Whose a record is: some customers have several times as many as others."""
    return (rng.random(n) ** 1.5 * customers).astype(np.int64)


def _happened(rng: np.random.Generator, n: int, hours: int) -> dict[str, Ints]:
    """Moments over the whole time, learned a few hours later."""
    occurred = _START + (rng.random(n) * _MONTHS * 30 * _DAY).astype(np.int64)
    return {"occurred_at": occurred, "known_at": occurred + (rng.exponential(hours, n) * _HOUR).astype(np.int64)}


def _fen(rng: np.random.Generator, n: int, log: float) -> Ints:
    return np.exp(rng.normal(log, 0.8, n)).astype(np.int64) + 1


def _some(rng: np.random.Generator, values: Any, missing: Any = 0.05) -> pa.Array:
    """Values of which some are missing: a share, or those that are told."""
    mask = rng.random(len(values)) < missing if isinstance(missing, float) else missing
    return pa.array(values, mask=mask)


def ids(letter: str, numbers: Ints) -> pa.Array:
    """Identifiers of nine signs, `T00000012`, without a string of Python."""
    signs = np.empty((len(numbers), 9), dtype=np.uint8)
    signs[:, 0] = ord(letter)
    left = numbers.copy()
    for place in range(8, 0, -1):
        left, signs[:, place] = np.divmod(left, 10)
    signs[:, 1:] += ord("0")
    ends = np.arange(0, 9 * len(numbers) + 1, 9, dtype=np.int32)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(ends), pa.py_buffer(signs))


def _coded(codes: Ints, words: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(words)).cast(pa.string())


def _words(rng: np.random.Generator, n: int, table: str, column: str) -> pa.Array:
    words = TABLES[table].column(column).categories
    return _coded(rng.integers(0, len(words), n), words)


def _table(name: str, columns: Columns) -> pa.Table:
    """Columns with the types of the contract, rows in the order in which they were learned."""
    times = [column.name for column in TABLES[name].columns if column.dtype == "timestamp"]
    arrays = {key: pa.array(value) for key, value in columns.items()}
    arrays |= {key: arrays[key].cast(pa.timestamp("us")) for key in times if key in arrays}
    order = np.argsort(columns["applied_at" if name == "applications" else "known_at"], kind="stable")
    return pa.table(arrays).take(pa.array(order))
