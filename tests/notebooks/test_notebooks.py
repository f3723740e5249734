"""Notebooks are committed empty, import the rooms only, and run from the first cell to the last in a real kernel."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ROOMS = {"data_contracts", "lenders", "features", "training", "evaluation", "serving"}
SECONDS_A_CELL = 300
CHINESE = re.compile(r"^> \*\*中文\*\*：.+", re.MULTILINE)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def imported(notebook: NotebookNode) -> Iterator[str]:
    """Top-level names of every module that the cells import."""
    for cell in code_cells(notebook):
        for statement in ast.walk(ast.parse(cell.source)):
            if isinstance(statement, ast.Import):
                yield from (name.name.split(".")[0] for name in statement.names)
            elif isinstance(statement, ast.ImportFrom):
                assert statement.level == 0, "a notebook is in no package: import absolutely"
                yield str(statement.module).split(".")[0]


def outputs(notebook: NotebookNode, kind: str) -> list[NotebookNode]:
    return [output for cell in code_cells(notebook) for output in cell.outputs if output.output_type == kind]


def printed(notebook: NotebookNode) -> str:
    return "".join(output.text for output in outputs(notebook, "stream") if output.name == "stdout")


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def committed(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(scope="module")
def workplace(committed: NotebookNode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel's working directory: empty, so that a notebook can lean on nothing that lies about."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def executed(committed: NotebookNode, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The notebook with its outputs; a cell that raises fails here with the cell and its traceback."""
    notebook = nbformat.from_dict(committed)
    # Without kernel folders `python3` is this interpreter, whatever kernels the machine has.
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    # A backend from outside would keep the figures out of the notebook; so would a user's IPython profile.
    env = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    env |= {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}
    client = NotebookClient(
        notebook, km=kernel, timeout=SECONDS_A_CELL, resources={"metadata": {"path": str(workplace)}}
    )
    return client.execute(env=env, cleanup_kc=True)  # closes the sockets of a manager that the client was given


def test_there_is_a_notebook() -> None:
    assert [path.name for path in NOTEBOOKS][:1] == ["01_from_records_to_score.ipynb"]


def test_it_is_committed_without_outputs(committed: NotebookNode) -> None:
    nbformat.validate(committed)
    assert committed.metadata.kernelspec.name == "python3"
    for cell in code_cells(committed):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_it_imports_the_rooms_and_no_command_line(committed: NotebookNode) -> None:
    # Whatever else lies at the top of the repository: command line, pipeline, tests, benchmarks.
    ours = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert ours >= ROOMS
    assert set(imported(committed)) & ours == ROOMS


def test_each_section_has_a_line_in_chinese(committed: NotebookNode) -> None:
    prose = "\n\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    sections = re.split(r"^#{1,2} ", prose, flags=re.MULTILINE)[1:]
    assert len(sections) > 10
    assert [section.splitlines()[0] for section in sections if not CHINESE.search(section)] == []


def test_every_cell_runs_in_order_and_warns_of_nothing(executed: NotebookNode) -> None:
    assert [cell.execution_count for cell in code_cells(executed)] == list(range(1, len(code_cells(executed)) + 1))
    assert outputs(executed, "error") == []
    assert [output.text for output in outputs(executed, "stream") if output.name == "stderr"] == []


def test_every_figure_is_drawn(executed: NotebookNode) -> None:
    for cell in code_cells(executed):
        drawn = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(drawn) == cell.source.count("plt.show()")
    assert sum("plt.show()" in cell.source for cell in code_cells(executed)) >= 8


def test_what_was_broken_on_purpose_is_told_in_words(executed: NotebookNode) -> None:
    told = printed(executed)
    assert "transactions.amount: must be from 1 to 10,000,000,000,000 fen; 1 row is not, first: -500" in told
    assert "transactions.category: must be one of salary," in told
    assert "applications.age_years is a protected attribute" in told
    assert "reference.json does not have the SHA-256 of its manifest" in told


def test_it_leaves_nothing_behind(executed: NotebookNode, workplace: Path) -> None:
    assert list(workplace.iterdir()) == []
