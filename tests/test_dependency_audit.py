"""What the audit of dependencies makes of pip-audit's reports, and that it says so where it could not ask."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"


def audit() -> Any:
    spec = spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REPORT = {
    "dependencies": [
        {"name": "sound", "version": "1.0", "vulns": []},
        {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited: unknown (2.0)"},
        {
            "name": "flawed",
            "version": "3.0",
            "vulns": [
                {"id": "GHSA-1", "fix_versions": ["3.1", "4.0"], "aliases": [], "description": "bad"},
                {"id": "GHSA-2", "fix_versions": [], "aliases": [], "description": "worse"},
            ],
        },
    ],
    "fixes": [],
}


def test_vulnerabilities_are_listed_and_what_was_not_audited_is_named() -> None:
    assert audit().vulnerabilities(REPORT) == [
        "flawed 3.0: GHSA-1, mended in 3.1, 4.0",
        "flawed 3.0: GHSA-2, mended in no version",
    ]
    assert audit().not_audited(REPORT) == ["unknown"]


def test_without_an_index_nothing_was_audited_and_that_is_said(tmp_path: Path) -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env=nowhere, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == "Dependencies were not audited: no index of advisories can be reached from here.\n"
