"""Options that several commands take, each explained once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from workspace import Home

OutDir = Annotated[Path, typer.Option(help="Folder to write, whole or not at all; tables that lie there are replaced.")]
Tolerance = Annotated[
    float, typer.Option(min=0, max=1, help="Share of a table's new rows that may be held before all are refused.")
]
Data = Annotated[Path, typer.Option(help="Folder of canonical tables, from `simulate` or `import`.")]
Model = Annotated[str, typer.Option(help="NAME (its champion), NAME@ALIAS or NAME/VERSION.")]
HomePath = Annotated[
    Path, typer.Option("--home", envvar="LENDWELL_HOME", help="Folder of runs, registry and decision log.")
]
TrackingUri = Annotated[
    str | None,
    typer.Option(envvar="LENDWELL_TRACKING_URI", help="MLflow's store, if not SQLite in --home: postgresql://..."),
]
LogUrl = Annotated[
    str | None,
    typer.Option(envvar="LENDWELL_LOG_URL", help="Decision log, if not SQLite in --home: postgresql://..."),
]
TuningUrl = Annotated[
    str | None,
    typer.Option(
        "--storage", envvar="LENDWELL_TUNING_URL", help="Studies of searches, if not SQLite in --home: postgresql://..."
    ),
]
RegisterUrl = Annotated[
    str | None,
    typer.Option(
        envvar="LENDWELL_REGISTER_URL",
        help="Model register, if not in the PostgreSQL of --tracking-uri or SQLite in --home: postgresql://...",
    ),
]
RequestLogPath = Annotated[
    Path | None,
    typer.Option("--request-log", envvar="LENDWELL_REQUEST_LOG", help="Folder of kept requests, if not in --home."),
]

KeysPath = Annotated[
    Path | None,
    typer.Option("--keys", envvar="LENDWELL_KEYS", help="File of the API keys, if not keys.json in --home."),
]

HOME = Path(".lendwell")
KEYS = "keys.json"
MOST_DAYS = 36_500  # a hundred years: the calendar has room for them before and after today


def home_at(
    path: Path,
    tracking_uri: str | None = None,
    log_url: str | None = None,
    tuning_url: str | None = None,
    register_url: str | None = None,
) -> Home:
    """Where a command's runs, registry and logs lie."""
    from workspace import Home

    return Home(path, tracking_uri, log_url, tuning_url, register_url)
