"""Who gets through to the service: a key with the right role, not too often; and how the service may listen.

| path | role |
|---|---|
| `/v1/POINT/score`, `score-batch`, `decide` | `score` |
| `/v1/POINT/explain` | `explain` |
| `/v1/.../review` and below | `review` |
| `/v1/champions`, `/openapi.json` | any key |
| `/healthz`, `/readyz`, `/metrics` | none: they tell nothing of anybody |
| all else | `admin`, who may do everything |

Where no key was ever made, callers of this machine need none, and no others are answered.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from data_contracts.errors import ServiceError
from data_contracts.messages import ErrorBody, ErrorDetail
from serving.keys import Key, KeyFile, Keyring

logger = logging.getLogger("lendwell.serving")

KEYS_VARIABLE, RATE_VARIABLE = "LENDWELL_KEYS", "LENDWELL_RATE"
PER_SECOND = 200.0
_BURST_SECONDS = 2.0
_OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/livez"})
_ANY_KEY = frozenset({"/v1/champions", "/openapi.json"})
_ROLE_OF = {"score": "score", "score-batch": "score", "decide": "score", "explain": "explain", "review": "review"}


@dataclass(frozen=True)
class Access:
    """How the service may be reached.

    Parameters
    ----------
    keys : Path, optional
        File of API keys; without one nobody needs a key, and only this machine is answered.
    per_second : float, default 200
        Requests that a key may send in a second on average; twice as many at once.
    tls_cert, tls_key : Path, optional
        PEM files of the certificate (with its chain) and its key; HTTPS where both are given.
    """

    keys: Path | None = None
    per_second: float = PER_SECOND
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def check(self, host: str) -> None:
        """`ServiceError` where the service would be open to others without keys, or its certificate is none."""
        known = KeyFile(self.keys).read() if self.keys else []
        if not known and not is_this_machine(host):
            raise ServiceError(
                f"The service would listen at {host} for everybody: no API key was made yet. Make one with "
                "`lendwell keys add NAME --role score`, or listen at 127.0.0.1."
            )
        if not self.per_second > 0:
            raise ServiceError(f"A key may send {self.per_second:g} requests a second; give more than 0 with --rate.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ServiceError("TLS needs both: --tls-cert and --tls-key.")
        if self.tls_cert is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key, _no_password)
            except (OSError, ValueError) as fault:
                raise ServiceError(
                    f"{self.tls_cert} and {self.tls_key} are no certificate with its key ({fault}); give PEM files."
                ) from None

    @property
    def scheme(self) -> str:
        """`https` with a certificate, else `http`."""
        return "http" if self.tls_cert is None else "https"

    @property
    def environment(self) -> dict[str, str]:
        """What the service's process is told."""
        return {
            KEYS_VARIABLE: "" if self.keys is None else str(self.keys.absolute()),
            RATE_VARIABLE: repr(self.per_second),
        }

    @property
    def options(self) -> list[str]:
        """Words for `bentoml serve`."""
        if self.tls_cert is None or self.tls_key is None:
            return []
        return ["--ssl-certfile", str(self.tls_cert.absolute()), "--ssl-keyfile", str(self.tls_key.absolute())]


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def is_this_machine(host: str) -> bool:
    """Whether an address is reached from this machine only.

    Examples
    --------
    >>> [is_this_machine(host) for host in ("127.0.0.1", "::1", "0.0.0.0", "10.0.0.5", "localhost")]
    [True, True, False, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """In front of the application: refuses who has no valid key, not its role, or asks too often.

    It reads nothing of the body. What it refuses is told in the same form as any other refusal.

    Parameters
    ----------
    app : ASGI application
    keyring : Keyring or None
        None where keys are not used.
    clock : callable
        Gives the present, UTC without a zone, for keys that expire.
    per_second : float, default 200
        Requests of one key.
    ticks : callable, optional
        Seconds that never jump, for the rate.
    """

    def __init__(
        self,
        app: Any,
        keyring: Keyring | None,
        clock: Callable[[], datetime],
        per_second: float = PER_SECOND,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._clock = clock
        self._per_second = per_second
        self._ticks = ticks
        self._buckets: dict[str, tuple[float, float]] = {}
        if keyring is None or keyring.is_empty:
            logger.warning("no API key was made: only callers of this machine are answered; see `lendwell keys add`")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through, or refuse it."""
        refusal = None
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refusal.send(send)

    def _refusal(self, scope: Mapping[str, Any]) -> _Refusal | None:
        try:
            if self._keyring is not None:
                self._keyring.refresh()
        except ServiceError as fault:
            logger.error("nobody is let in: %s", fault)
            return _Refusal(503, "keys_unavailable", "The API keys cannot be read. Try again.", {"Retry-After": "2"})
        if self._keyring is None or self._keyring.is_empty:
            client = scope.get("client")
            if client is None or is_this_machine(client[0]):
                return None
            return _Refusal(403, "no_keys", "No API key was made yet, so only the service's own machine is answered.")
        key = self._keyring.holder(_sent_key(scope), self._clock())
        if key is None:
            return _Refusal(
                401,
                "unknown_key",
                "Send a valid API key: Authorization: Bearer KEY.",
                {"WWW-Authenticate": "Bearer"},
            )
        role = _role(scope["path"])
        if role is not None and role not in key.roles and "admin" not in key.roles:
            return _Refusal(403, "role_missing", f"This key has not the role {role}.")
        return self._too_often(key)

    def _too_often(self, key: Key) -> _Refusal | None:
        """A bucket of tokens for each key, filled `per_second`; a request takes one."""
        most, now = max(1.0, self._per_second * _BURST_SECONDS), self._ticks()
        tokens, since = self._buckets.get(key.id, (most, now))
        tokens = min(most, tokens + (now - since) * self._per_second)
        if tokens >= 1:
            self._buckets[key.id] = (tokens - 1, now)
            return None
        self._buckets[key.id] = (tokens, now)
        wait = max(1, math.ceil((1 - tokens) / self._per_second))
        return _Refusal(
            429,
            "too_many_requests",
            f"This key sends more than {self._per_second:g} requests a second.",
            {"Retry-After": str(wait)},
        )


@dataclass(frozen=True)
class _Refusal:
    status: int
    code: str
    message: str
    headers: Mapping[str, str] | None = None

    async def send(self, send: Any) -> None:
        body = ErrorBody(error=ErrorDetail(code=self.code, message=self.message)).model_dump_json().encode()
        # the body of the request was not read: what is left of it must not be taken for the next request
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        told = [(name.lower().encode(), value.encode()) for name, value in {**headers, **(self.headers or {})}.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": told})
        await send({"type": "http.response.body", "body": body})


def guarded(app: Any, clock: Callable[[], datetime]) -> Guard:
    """Put a guard in front of the application, as the environment has it: see `Access.environment`."""
    keys, rate = os.environ.get(KEYS_VARIABLE), os.environ.get(RATE_VARIABLE) or repr(PER_SECOND)
    try:
        per_second = float(rate)
    except ValueError:
        raise ServiceError(f"{RATE_VARIABLE} is {rate!r}; give requests a second, such as 200.") from None
    return Guard(app, Keyring(Path(keys)) if keys else None, clock, per_second)


def _role(path: str) -> str | None:
    """Role that a path asks for; None where any key will do."""
    if path in _ANY_KEY:
        return None
    for part in path.split("/"):
        if part in _ROLE_OF:
            return _ROLE_OF[part]
    return "admin"


def _sent_key(scope: Mapping[str, Any]) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, key = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return str(key.strip())
        elif name == b"x-api-key":
            return str(value.decode("latin-1").strip())
    return ""
