from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.errors import SourceError
from lenders import superlender
from lenders.catalogue import LENDERS, importer


@pytest.mark.parametrize("name", LENDERS)
def test_every_lender_is_known_by_either_spelling(name: str) -> None:
    assert importer(name) is importer(name.replace("-", "_"))
    assert importer(name).__module__ == LENDERS[name]


def test_a_module_by_its_dotted_name() -> None:
    assert importer("lenders.superlender") is superlender.import_tables


def write(path: Path, text: str) -> str:
    (path / "my_lender.py").write_text(text, encoding="utf-8")
    return str(path / "my_lender.py")


def test_a_module_by_its_file(tmp_path: Path) -> None:
    file = write(tmp_path, "def import_tables(source, progress=None):\n    return {'from': str(source)}, 'calendar'\n")
    assert importer(file)(Path("here")) == ({"from": "here"}, "calendar")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["There is no file", "my_lender.py"]),
        ("x = 1\n", ["has no function import_tables(source, progress)", "docs/adding_a_lender.md"]),
        ("import_tables = 3\n", ["has no function import_tables(source, progress)"]),
        ("def import_tables(:\n", ["my_lender.py cannot be loaded (SyntaxError", "Mend the module"]),
        ("import no_such_package\n", ["cannot be loaded (ModuleNotFoundError", "install what it imports"]),
    ],
)
def test_modules_that_are_none_name_cause_and_way_out(tmp_path: Path, text: str | None, words: list[str]) -> None:
    file = write(tmp_path, text) if text is not None else str(tmp_path / "my_lender.py")
    with pytest.raises(SourceError) as raised:
        importer(file)
    assert [word for word in words if word not in str(raised.value)] == []


def test_a_dotted_name_that_is_nowhere() -> None:
    with pytest.raises(SourceError, match=r"company\.my_lender cannot be loaded \(ModuleNotFoundError"):
        importer("company.my_lender")


def test_an_unknown_lender_is_told_the_known_ones() -> None:
    with pytest.raises(SourceError, match=r"no lender 'visa'\. Choose one of: home-credit, taiwan, .*my_lender\.py"):
        importer("visa")
