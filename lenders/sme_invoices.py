"""Small businesses and their invoices (CUMCM 2020, problem C): who bought what from whom, and who defaulted.

Firms are decided upon on the day after the last invoice of all: the day is made up and one for all (`dates` is
"relative"), the invoices' days are real.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from data_contracts.folder import Dates
from lenders.catalogue import Progress
from lenders.mapping import Mapped, at, choice, import_files
from lenders.raw_files import RawFile, columns

FIRMS = RawFile("firms", columns(texts="企业代号 是否违约"), optional=("是否违约",), also=("企业信息",))


def _invoices(name: str, sheet: str, counterparty: str) -> RawFile:
    texts = f"企业代号 发票号码 {counterparty} 发票状态"
    return RawFile(name, columns(texts=texts, times="开票日期", numbers="金额 税额"), also=(sheet,))


PURCHASES = _invoices("input_invoices", "进项发票信息", "销方单位代号")
SALES = _invoices("output_invoices", "销项发票信息", "购方单位代号")


def _once(raw: RawFile) -> str:
    """Rows of the listed firms, each once: the sheets of five firms repeat thousands of invoices with all values."""
    # 47 states have a blank behind them
    return f"""(
SELECT DISTINCT * REPLACE (trim(发票状态) AS 发票状态) FROM "{raw.name}" SEMI JOIN "{FIRMS.name}" USING (企业代号))"""


_BOTH = f"""(
SELECT 'purchase' AS direction, * RENAME (销方单位代号 AS other) FROM {_once(PURCHASES)}
UNION ALL BY NAME
SELECT 'sale' AS direction, * RENAME (购方单位代号 AS other) FROM {_once(SALES)})"""
_DAYS = " UNION ALL ".join(f'SELECT 开票日期 FROM "{raw.name}"' for raw in (PURCHASES, SALES))
_LAST_DAY = f"(SELECT max(开票日期) FROM ({_DAYS}))"

_FIRM = {"customer_id": "企业代号"}

_APPLICATION = {
    "application_id": "企业代号",
    **_FIRM,
    "applied_at": f"beijing(date_trunc('day', {_LAST_DAY}) + INTERVAL 1 DAY)",
    "product": "'business'",
    "term_months": "CAST(12 AS BIGINT)",  # what the bank of the problem lends for
}

_INVOICE = {
    # numbers are given anew by each seller: they name an invoice only with its day and both firms
    "invoice_id": "concat_ws('-', direction, 企业代号, other, strftime(开票日期, '%Y%m%d'), 发票号码)",
    **_FIRM,
    **at("beijing(开票日期)"),
    "direction": "direction",
    "status": choice("发票状态", {"有效发票": "valid", "作废发票": "void"}),
    "amount": "fen(金额)",
    "tax": "fen(税额)",
    "counterparty_id": "other",
}

_OUTCOME = {
    "application_id": "企业代号",
    **_FIRM,
    **at(f"beijing(date_trunc('day', {_LAST_DAY}) + INTERVAL 1 DAY + INTERVAL 12 MONTH)"),
    "defaulted": "是否违约 = '是'",
}

_ALL = (FIRMS.name, PURCHASES.name, SALES.name)
MAPPINGS = (
    Mapped("applications", _APPLICATION, f'"{FIRMS.name}"', "application_id", _ALL),
    Mapped(
        "invoices",
        _INVOICE,
        _BOTH,
        "invoice_id, amount, tax",
        _ALL,
        kept={raw.name: _once(raw) for raw in (PURCHASES, SALES)},
        left_out="they come twice, or their firm is in no list",
    ),
    Mapped(
        "outcomes",
        _OUTCOME,
        f'"{FIRMS.name}" WHERE 是否违约 IS NOT NULL',
        "application_id",
        _ALL,
        given=f'SELECT 1 FROM "{FIRMS.name}" WHERE 是否违约 IS NOT NULL',
    ),
)


def import_tables(source: Path, progress: Progress | None = None) -> tuple[dict[str, pa.Table], Dates]:
    """Read firms with their purchase and sales invoices, under their names here or those of the sheets.

    Raises
    ------
    SourceError
        Where the folder, a file or a column is missing or cannot be read.
    """
    return import_files(source, (FIRMS, PURCHASES, SALES), MAPPINGS, "CUMCM 2020 C", progress), "relative"
