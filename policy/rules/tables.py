"""Tables of rules on disk, CSV or XLSX: a row a rule, with the file, row and column of every fault.

=============================  ====================================================================================
`id`                           letters, a hyphen, digits: `INQ-004`; the versions of a rule share it
`version`                      1, 2, ...
`owner`                        the role that answers for it: `fraud_risk`, not a person
`effective_from`, `_to`        first and last day in force, `2026-01-31` or `2026/1/31`; no last day: it stays in force
`severity`                     `decline`, `refer` or `flag`
`products`                     `*` for all, or names with commas between
`if_1`, `if_2`, ...            conditions that must all be met (`conditions.py`); at least one
`text_en`, `text_zh`           why, as the applicant or a reviewer reads it
`note`                         for whoever edits the table; optional
=============================  ====================================================================================
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

from policy.rules.conditions import Condition, parse
from policy.rules.declaration import Rule, Severity

COLUMNS = (
    "id", "version", "owner", "effective_from", "effective_to", "severity", "products", "if_1", "text_en", "text_zh",
)  # fmt: skip
_OPTIONAL = frozenset({"note"})
_IF = re.compile(r"if_[1-9]")
_ID = re.compile(r"[A-Z]{2,8}-\d{1,6}")
_ROLE = re.compile(r"[a-z][a-z_]{1,40}")
_LONGEST = 300
_LARGEST_FILE = 5_000_000
_LARGEST_UNPACKED = 100_000_000
_MOST_ROWS = 10_000
_MOST_COLUMNS = 50


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where.

    Examples
    --------
    >>> print(Fault("age.csv", 3, "if_1", "there is no field aeg_years; did you mean age_years?"))
    age.csv, row 3, column if_1: there is no field aeg_years; did you mean age_years?
    """

    file: str
    row: int | None
    column: str | None
    problem: str

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{row}{column}: {self.problem}"


Row = tuple[int, dict[str, str]]
"""Number of a row as a spreadsheet counts it, and its cells by column, without blanks around them."""


def read_rows(path: Path, required: tuple[str, ...], allowed: re.Pattern[str], faults: list[Fault]) -> list[Row]:
    """Read the rows of a CSV or XLSX file; what is wrong with the file or its columns goes to `faults`."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError(f"it is larger than {_LARGEST_FILE:,} bytes; split it")
        lines = list(_xlsx(path) if path.suffix.lower() == ".xlsx" else _csv(path))
    except UnicodeDecodeError:
        faults.append(Fault(path.name, None, None, "it is not UTF-8; save it as 'CSV UTF-8' or as XLSX"))
        return []
    except Exception as fault:  # openpyxl raises what it meets: BadZipFile, KeyError, XML errors
        faults.append(Fault(path.name, None, None, f"it cannot be read ({fault})"))
        return []
    if not lines:
        faults.append(Fault(path.name, None, None, f"it is empty; its first row names {', '.join(required)}"))
        return []
    (_, header), *body = lines
    wrong = [name for name in header if name and name not in required and not allowed.fullmatch(name)]
    faults.extend(Fault(path.name, 1, name, f"there is no such column; there are {', '.join(required)}")
                  for name in wrong)  # fmt: skip
    faults.extend(Fault(path.name, 1, name, "this column is missing") for name in required if name not in header)
    faults.extend(Fault(path.name, 1, name, "this column is there twice")
                  for name in dict.fromkeys(header) if name and header.count(name) > 1)  # fmt: skip
    if any(name not in header for name in required):
        return []
    rows = []
    for number, cells in body:
        if len(cells) > len(header) and any(cells[len(header) :]):
            told = "it has more cells than the first row; put quotes around a cell that holds commas"
            faults.append(Fault(path.name, number, None, told))
        elif any(cells):
            padded = [*cells, *[""] * (len(header) - len(cells))]
            rows.append((number, {name: cell for name, cell in zip(header, padded, strict=False) if name}))
    return rows


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, cells in enumerate(csv.reader(file, strict=True), start=1):
            _bounded(number)
            yield number, [cell.strip() for cell in cells]


def _xlsx(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The first sheet."""
    import openpyxl

    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > _LARGEST_UNPACKED:
            raise ValueError(f"unpacked it is larger than {_LARGEST_UNPACKED:,} bytes; split it")
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        for number, cells in enumerate(book.worksheets[0].iter_rows(max_col=_MOST_COLUMNS, values_only=True), start=1):
            _bounded(number)
            yield number, [_written(cell) for cell in cells]
    finally:
        book.close()


def _bounded(number: int) -> None:
    if number > _MOST_ROWS:
        raise ValueError(f"it has more than {_MOST_ROWS:,} rows; split it")


def _written(cell: Any) -> str:
    """A spreadsheet's cell as one would write it into a CSV."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()


def read_table(path: Path, faults: list[Fault]) -> list[Rule]:
    """Read the rules of a table; all that is wrong with its rows goes to `faults`.

    A row with faults is among the rules for the checks over all rows, unless its id is wrong: what cannot be read of
    it is version 0, or days on which it is never in force.
    """
    allowed = re.compile("|".join([_IF.pattern, *_OPTIONAL]))
    rows = read_rows(path, COLUMNS, allowed, faults)
    rules = []
    for number, cells in rows:
        found: list[tuple[str, str]] = []
        rule = _rule(cells, path, number, found)
        faults.extend(Fault(path.name, number, column, problem) for column, problem in found)
        if "id" not in dict(found):
            rules.append(rule)
    return rules


def _rule(cells: Mapping[str, str], path: Path, number: int, faults: list[tuple[str, str]]) -> Rule:
    """A rule of a row; what is wrong with it goes to `faults`."""

    def checked(column: str, right: bool, problem: str) -> str:
        if not cells[column]:
            faults.append((column, "it is empty"))
        elif not right:
            faults.append((column, problem))
        return cells[column]

    severities = get_args(Severity)
    first, last = _days(cells, faults)
    return Rule(
        id=checked("id", bool(_ID.fullmatch(cells["id"])), "write it as letters, a hyphen and digits: INQ-004"),
        version=_version(cells, faults),
        owner=checked("owner", bool(_ROLE.fullmatch(cells["owner"])), "name a role in small letters: credit_risk"),
        effective_from=first,
        effective_to=last,
        severity=checked("severity", cells["severity"] in severities, f"write one of {', '.join(severities)}"),  # type: ignore[arg-type]
        conditions=(*_products(cells, faults), *_conditions(cells, faults)),
        en=checked("text_en", len(cells["text_en"]) <= _LONGEST, f"it is longer than {_LONGEST} characters"),
        zh=checked("text_zh", len(cells["text_zh"]) <= _LONGEST, f"it is longer than {_LONGEST} characters"),
        table=path.stem,
        place=f"{path.name}, row {number}",
    )


def _version(cells: Mapping[str, str], faults: list[tuple[str, str]]) -> int:
    text = cells["version"]
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        faults.append(("version", f"{text!r} is no version; write 1, 2, ..."))
        return 0
    return int(text)


def _days(cells: Mapping[str, str], faults: list[tuple[str, str]]) -> tuple[date, date | None]:
    """First and last day in force, of which a spreadsheet may write them with slashes; never, where one is no date."""
    days: dict[str, date] = {}
    written = ("effective_from", "effective_to") if cells["effective_to"] else ("effective_from",)
    for column in written:
        try:
            days[column] = datetime.strptime(cells[column].replace("/", "-"), "%Y-%m-%d").date()
        except ValueError:
            faults.append((column, f"{cells[column]!r} is no date; write it as 2026-01-31"))
    if len(days) < len(written):
        return date.max, date.min
    first, last = days["effective_from"], days.get("effective_to")
    if last is not None and last < first:
        faults.append(("effective_to", f"{last} is before effective_from, {first}"))
    return first, last


def _products(cells: Mapping[str, str], faults: list[tuple[str, str]]) -> list[Condition]:
    products = cells["products"]
    if products == "*":
        return []
    try:
        if not products:
            raise ValueError("it is empty; write * for all products")
        return [parse(f"product in {products}")]
    except ValueError as fault:
        faults.append(("products", str(fault)))
        return []


def _conditions(cells: Mapping[str, str], faults: list[tuple[str, str]]) -> list[Condition]:
    conditions = []
    for column, cell in cells.items():
        if _IF.fullmatch(column) and cell:
            try:
                conditions.append(parse(cell))
            except ValueError as fault:
                faults.append((column, str(fault)))
    if not any(cell for column, cell in cells.items() if _IF.fullmatch(column)):
        faults.append(("if_1", "there is no condition; write one such as age_years < 18"))
    return conditions
