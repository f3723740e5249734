"""The manifest of a bundle: each of its files with its SHA-256. Checking one needs none of the libraries that score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_contracts.errors import BundleError
from data_contracts.folder import file_sha256

FORMAT = 3
MANIFEST = "manifest.json"


def verify(folder: Path) -> dict[str, Any]:
    """Check every byte of a bundle and return its manifest; `BundleError` names the first file at fault."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: it has no {MANIFEST}.")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, bundle, files = manifest["format"], manifest["name"], dict(manifest["files"])
        _ = manifest["decision_point"], manifest["feature_set"]["name"], manifest["feature_set"]["identity"]
    except (ValueError, KeyError, TypeError) as fault:
        raise BundleError(f"{path} cannot be read. Restore the file, or train anew.") from fault
    if version != FORMAT:
        raise BundleError(f"The bundle {bundle} has format {version}; this version of Lendwell reads {FORMAT}.")
    present = bundle_files(folder)
    for name in sorted({*files, *present}):
        if name not in files:
            raise BundleError(f"The bundle {bundle} holds {name}, which its manifest does not name.")
        if name not in present:
            raise BundleError(f"The bundle {bundle} lacks {name}. Restore the file, or train anew.")
        if file_sha256(folder / name) != files[name]:
            raise BundleError(
                f"The bundle {bundle} was changed: {name} does not have the SHA-256 of its manifest. "
                "Restore the file, or train anew."
            )
    return manifest


def bundle_files(folder: Path) -> list[str]:
    """Names of all files of a bundle but its manifest, in order."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(name for path in found if (name := path.relative_to(folder).as_posix()) != MANIFEST)
