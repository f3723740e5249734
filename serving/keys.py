"""API keys: who may ask the service for what. A key is shown once, when it is made; kept is its salted hash.

    {"format": 1, "keys": [{"id": "3f0c...", "name": "approval", "roles": ["score"], "made_at": "2026-07-01T00:00:00",
                            "expires_at": null, "revoked_at": null, "salt": "...", "sha256": "..."}]}

A key is 256 random bits, so one SHA-256 is enough: nobody guesses it, slowly or fast. To change a key without a pause,
make a second one of the same name, hand it over, then revoke the first.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from data_contracts.errors import ServiceError
from data_contracts.locking import hold

ROLES = ("score", "explain", "review", "admin")
_LONGEST_NAME = 64
_LONGEST_KEY = 128
_MARK = "lendwell"


@dataclass(frozen=True)
class Key:
    """What is kept of a key.

    Parameters
    ----------
    id : str
        Public, the middle of the key.
    name : str
        Whose it is; several may have one name.
    roles : tuple of str
        Of `ROLES`.
    made_at, expires_at, revoked_at : datetime
        UTC without a zone; None where it does not expire, or was not revoked.
    salt, sha256 : str
        Of the key.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    made_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    salt: str
    sha256: str

    def state(self, now: datetime) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if self.expires_at is None or now < self.expires_at else "expired"

    def is_of(self, text: str) -> bool:
        """Whether this is what is kept of the key; it takes as long for a wrong one."""
        return hmac.compare_digest(_hashed(self.salt, text), self.sha256)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    keys: list[Key]


class KeyFile:
    """The file of all keys, for the service's own account only.

    Parameters
    ----------
    path : Path
        Made with mode 0600 by the first key.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file, noon = KeyFile(Path(folder.name) / "keys.json"), datetime(2026, 7, 1, 12)
    >>> key = file.add("approval", ["score"], noon)
    >>> [(one.name, one.roles, one.state(noon), one.is_of(key)) for one in file.read()]
    [('approval', ('score',), 'valid', True)]
    >>> folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_name(f"{path.name}.lock")

    def read(self) -> list[Key]:
        """Every key that was ever made; none where there is no file."""
        try:
            content = self.path.read_bytes()
            mode = self.path.stat().st_mode & 0o777
        except FileNotFoundError:
            return []
        except OSError as fault:
            raise ServiceError(f"The API keys in {self.path} cannot be read ({fault.strerror}).") from None
        if mode & 0o077:
            raise ServiceError(
                f"The API keys in {self.path} are open to other accounts (mode {mode:o}). Run `chmod 600` on it."
            )
        try:
            found = msgspec.json.decode(content, type=_File)
        except msgspec.MsgspecError as fault:
            raise ServiceError(f"{self.path} holds no API keys ({fault}). Restore it from a backup.") from None
        if found.format != 1:
            raise ServiceError(f"{self.path} was written by a newer Lendwell; use that version.")
        return found.keys

    def add(self, name: str, roles: Sequence[str], now: datetime, expires_at: datetime | None = None) -> str:
        """Make a key and return it; it cannot be shown again.

        Parameters
        ----------
        name : str
            Whose it is.
        roles : sequence of str
            What it may ask for: `score`, `explain`, `review`; `admin` for everything.
        now : datetime
            UTC without a zone.
        expires_at : datetime, optional
            From when on it is refused.
        """
        faults = [f"{role!r} is no role; roles are {', '.join(ROLES)}" for role in roles if role not in ROLES]
        if not roles:
            faults.append(f"a key without a role opens nothing; roles are {', '.join(ROLES)}")
        if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
            faults.append(f"the name must have 1 to {_LONGEST_NAME} printable characters")
        if expires_at is not None and expires_at <= now:
            faults.append("it would have expired already")
        if faults:
            raise ServiceError(f"No key was made: {'; '.join(faults)}.")
        number, salt = secrets.token_hex(6), secrets.token_hex(16)
        text = f"{_MARK}_{number}_{secrets.token_urlsafe(32)}"
        kept = Key(number, name, tuple(dict.fromkeys(roles)), now, expires_at, None, salt, _hashed(salt, text))
        self._change(lambda keys: [*keys, kept])
        return text

    @property
    def was_made(self) -> bool:
        """Whether there ever was a key: the lock that its making needs stays."""
        return self.path.exists() or self._lock.exists()

    def revoke(self, number: str, now: datetime) -> Key:
        """Refuse a key from now on; `ServiceError` where there is none of that id."""
        revoked: list[Key] = []
        unknown = ServiceError(f"There is no key {number}; `lendwell keys list` shows what there is.")
        if not self.path.exists():
            raise unknown

        def change(keys: list[Key]) -> list[Key]:
            revoked.extend(replace(key, revoked_at=key.revoked_at or now) for key in keys if key.id == number)
            if not revoked:
                raise unknown
            return [revoked[0] if key.id == number else key for key in keys]

        self._change(change)
        return revoked[0]

    def _change(self, change: Callable[[list[Key]], Iterable[Key]]) -> None:
        """Write the file anew, whole, while nobody else does."""
        busy = ServiceError(f"Another command is changing {self.path} right now; try again.")
        held = hold(self._lock, busy)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.draft")
        try:
            content = msgspec.json.encode(_File(1, list(change(self.read()))))
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(msgspec.json.format(content) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)
            os.close(held)


class Keyring:
    """The keys as a running service knows them: what is added or revoked counts from the next request on.

    Parameters
    ----------
    path : Path
        Of the `KeyFile`.
    """

    def __init__(self, path: Path) -> None:
        self._file = KeyFile(path)
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the file again if it is another; `ServiceError` where it cannot be read, or is gone."""
        try:
            now = self._file.path.stat()
        except FileNotFoundError:
            if self._seen is not None or self._file.was_made:  # never fall back to letting everybody in
                raise ServiceError(
                    f"The API keys in {self._file.path} are gone; restore them, or make one with `lendwell keys add`."
                ) from None
            return
        seen = (now.st_mtime_ns, now.st_ino)
        if seen != self._seen:
            self._keys = {key.id: key for key in self._file.read()}
            self._seen = seen

    @property
    def is_empty(self) -> bool:
        """Whether no key was ever made."""
        return self._seen is None

    def holder(self, text: str, now: datetime) -> Key | None:
        """Whose key this is; None where it is none, or expired or revoked."""
        mark, _, rest = text[:_LONGEST_KEY].partition("_")
        number, _, secret = rest.partition("_")
        key = self._keys.get(number, _NOBODY)
        right = key.is_of(text) and mark == _MARK and bool(secret)
        return key if right and key.state(now) == "valid" else None


def _hashed(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt}{text}".encode("utf-8", "surrogateescape")).hexdigest()


_NOBODY = Key("", "", (), datetime.min, None, datetime.min, "", "-" * 64)
