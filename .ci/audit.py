"""Has a pinned dependency a known vulnerability? Asked of an index of advisories by pip-audit.

    python .ci/audit.py [--ignore-vuln ID ...]

First it is asked of a version that is known to be vulnerable: an index that knows nothing of that one (a mirror without
advisories, no network) knows nothing of others either. Then nothing was audited, which is told and does not fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KNOWN_TO_BE_VULNERABLE = "jinja2==2.4.1"  # CVE-2014-1402 and others
_LONGEST_SECONDS = 300

Report = dict[str, Any]


def vulnerabilities(report: Report) -> list[str]:
    """A line for each vulnerability: package, version, advisory, the version that mends it."""
    return [
        f"{found['name']} {found['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for found in report["dependencies"]
        for flaw in found.get("vulns", [])
    ]


def not_audited(report: Report) -> list[str]:
    """Names of packages that the index does not know."""
    return [found["name"] for found in report["dependencies"] if "skip_reason" in found]


def ask(requirements: Path, words: list[str]) -> Report | None:
    """What pip-audit finds; None where it gets no answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
    options = ["--format", "json", "--progress-spinner", "off", *words]
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, check=False, timeout=_LONGEST_SECONDS
        )
        report: Report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return report


def main(words: list[str]) -> int:
    """Print what was found; 1 where there is a vulnerability."""
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "control.txt"
        control.write_text(f"{KNOWN_TO_BE_VULNERABLE}\n", encoding="utf-8")
        known = ask(control, [])
    report = ask(ROOT / "requirements.lock", words) if known and vulnerabilities(known) else None
    if report is None:
        print("Dependencies were not audited: no index of advisories can be reached from here.", file=sys.stderr)
        return 0
    found, unknown = vulnerabilities(report), not_audited(report)
    for line in found:
        print(f"requirements.lock: {line}", file=sys.stderr)
    if unknown:
        print(f"The index of advisories does not know {', '.join(unknown)}.", file=sys.stderr)
    if found:
        print("Run `make lock UPGRADE=--upgrade`, or accept one: make check AUDIT='--ignore-vuln ID'.", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
