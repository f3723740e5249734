"""What a command tells: facts for people or for machines, progress, how an interrupted step goes on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from records import Progress

DIFFERS = 3  # exit code of a check that found features that differ
flags = {"json": False, "debug": False}


@contextmanager
def goes_on() -> Iterator[None]:
    """Tell who interrupts a long step that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        told = "Interrupted. Nothing was registered; the same command goes on from what is done."
        typer.secho(told, fg="yellow", err=True)
        raise


def tell(facts: dict[str, Any]) -> None:
    """Facts as JSON, or as lines that people read."""
    if flags["json"]:
        typer.echo(json.dumps(facts, ensure_ascii=False, default=str))
        return
    lines = list(_lines(facts))
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        typer.echo(f"{name:<{width}}  {value}")


def _lines(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for at, item in enumerate(value, start=1):
                yield from _lines(item, f"{prefix}{name}.{at}.")
        else:
            value = "none" if value == [] else value
            shown = f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else value
            yield f"{prefix}{name}", ", ".join(map(str, shown)) if isinstance(shown, list) else str(shown)


@contextmanager
def progress_bar(step: str = "starting") -> Iterator[Progress | None]:
    """A bar on stderr while a person looks; nothing where nobody does."""
    if flags["json"] or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(step, total=1.0)
        yield lambda text, share: bar.update(task, description=text[:44], completed=share)
