"""What tests of all rooms share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

BESIDE_THE_CLONE = Path(__file__).resolve().parents[2] / "shared" / "data"

# The main module of a worker of pytest-xdist has no file; PySpark would take that for its own doctests and exit.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__

# A busy machine is no fault of an example.
settings.register_profile("lendwell", deadline=None, print_blob=True)
settings.load_profile("lendwell")


# Minutes each: begun last, one of them would keep a worker busy alone.
SLOW = ("tests/end_to_end/", "tests/notebooks/", "tests/features/test_spark.py", "tests/evaluation/test_report_run.py")


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, in the order in which they were drawn."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-real-data", action="store_true", help="fail, and do not skip, the tests whose real data are not here"
    )


@pytest.fixture(scope="session")
def real_data(request: pytest.FixtureRequest) -> Path:
    """Folder of the public data sets: `LENDWELL_REAL_DATA`, or `../shared/data` beside the repository."""
    given = os.environ.get("LENDWELL_REAL_DATA")
    looked_at = [*([Path(given)] if given else []), BESIDE_THE_CLONE]
    for folder in looked_at:
        if folder.is_dir():
            return folder
    reason = f"no real data at {' or '.join(map(str, looked_at))}; set LENDWELL_REAL_DATA to their folder"
    if request.config.getoption("--require-real-data"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 256 KiB, or of its parameter; skipped where this account may not mount one."""
    folder = tmp_path / "small_disk"
    folder.mkdir()
    size = getattr(request, "param", "256k")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as fault:
        pytest.skip(f"no file system can be mounted here: {fault}")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
