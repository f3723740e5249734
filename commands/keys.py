"""Commands with API keys: keys add, keys list, keys revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import HOME, KEYS, MOST_DAYS, HomePath, KeysPath
from commands.terminal import tell

if TYPE_CHECKING:
    from serving.keys import Key, KeyFile

app = typer.Typer()
_keys = typer.Typer(no_args_is_help=True, help="Make, list or revoke the API keys of the endpoint.")
app.add_typer(_keys, name="keys")


@_keys.command(epilog="Example: [bold]lendwell keys add approval --role score --expires-in 365[/]")
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is, such as approval.")],
    role: Annotated[list[str], typer.Option(help="score, explain, review or admin; once for each.")],
    expires_in: Annotated[
        int | None, typer.Option(min=1, max=MOST_DAYS, help="Days for which it is valid; for good by default.")
    ] = None,
    home: HomePath = HOME,
    keys: KeysPath = None,
) -> None:
    """Make a key and show it, once: only its hash is kept. A running service takes it from the next request on.

    To change a key without a pause: make a second one, hand it over, revoke the first.
    """
    now = _now()
    file = _file(home, keys)
    text = file.add(name, role, now, None if expires_in is None else now + timedelta(days=expires_in))
    made = next(key for key in file.read() if key.is_of(text))
    tell({"key": text, **_told(made, now)})


@_keys.command("list", epilog="Example: [bold]lendwell keys list[/]")
def show(home: HomePath = HOME, keys: KeysPath = None) -> None:
    """List every key that was ever made: whose it is, what it opens, whether it is valid. The keys are not kept."""
    now = _now()
    tell({"keys": [_told(key, now) for key in _file(home, keys).read()]})


@_keys.command(epilog="Example: [bold]lendwell keys revoke 3f0c9a51b2d4[/]")
def revoke(
    number: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from `lendwell keys list`.")],
    home: HomePath = HOME,
    keys: KeysPath = None,
) -> None:
    """Refuse a key for good; a running service does so from the next request on."""
    now = _now()
    tell(_told(_file(home, keys).revoke(number, now), now))


def _told(key: Key, now: datetime) -> dict[str, object]:
    moments = {"made_at": key.made_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    told = {name: f"{at:%Y-%m-%d %H:%M}" for name, at in moments.items() if at is not None}
    return {"id": key.id, "name": key.name, "roles": list(key.roles), "state": key.state(now), **told}


def _file(home: Path, keys: Path | None) -> KeyFile:
    from serving.keys import KeyFile

    return KeyFile(keys or home / KEYS)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
