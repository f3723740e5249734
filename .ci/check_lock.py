"""Does `requirements.lock` pin all that `pyproject.toml` asks for? Read from files and `.venv`, without a network."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
# They come with PyTorch's build for graphics cards, where an index offers no other; the lock is made for the CPU.
FOR_GRAPHICS_CARDS = ("cuda-", "nvidia-", "triton")


def read_lock(path: Path) -> tuple[dict[str, Version], list[str]]:
    """Versions by name, and what is wrong with the file itself."""
    pins: dict[str, Version] = {}
    faults = []
    for line in filter(None, (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())):
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        pinned = [part.version for part in requirement.specifier if part.operator == "=="]
        if len(requirement.specifier) != 1 or not pinned or "*" in pinned[0]:
            faults.append(f"{line}: not pinned; write NAME==VERSION")
        elif name in pins:
            faults.append(f"{line}: pinned twice")
        else:
            version = Version(pinned[0])
            if version.local:
                faults.append(f"{line}: only one index has a local version; leave out +{version.local}")
            pins[name] = Version(version.public)
    return pins, faults


def unmet(asked: list[tuple[str, Requirement]], pins: dict[str, Version]) -> list[str]:
    """What is asked for, here or by a pinned package that is installed, and not pinned as asked."""
    faults, seen = [], set()
    while asked:
        by, requirement = asked.pop()
        name = canonicalize_name(requirement.name)
        if by == "torch" and name.startswith(FOR_GRAPHICS_CARDS):
            continue
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in seen and name in pins:
                seen.add((name, extra))
                asked += [(name, r) for r in _required_by(name) if not r.marker or r.marker.evaluate({"extra": extra})]
        if name not in pins:
            faults.append(f"{requirement}: asked for by {by} and not in the lock")
        elif not requirement.specifier.contains(pins[name], prereleases=True):
            faults.append(f"{requirement}: asked for by {by}, but the lock has {pins[name]}")
    return sorted(set(faults))


def _required_by(name: str) -> list[Requirement]:
    try:
        return [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:  # for another machine
        return []


def main() -> int:
    """Print every fault and the way out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"pyproject.toml": project["dependencies"], **project["optional-dependencies"]}
    pins, faults = read_lock(ROOT / "requirements.lock")
    faults += unmet([(group, Requirement(line)) for group, lines in groups.items() for line in lines], pins)
    for fault in faults:
        print(f"requirements.lock: {fault}", file=sys.stderr)
    if faults:
        print("Run `make lock` and commit requirements.lock.", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
