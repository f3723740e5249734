"""The BentoML service: `serving.launch` starts it, or `bentoml serve serving.service:ScoringService` by hand.

Configured by the environment, since BentoML imports this module in processes of its own:

* `LENDWELL_ROSTER`: the file in which `lendwell serve` says who is to answer; or
* `LENDWELL_BUNDLE`: folder of a bundle; or `LENDWELL_MODEL`, `LENDWELL_VERSION` (an alias or number, `champion` by
  default) and `LENDWELL_TRACKING_URI` to take it from the registry into `LENDWELL_BUNDLES`; a Bento brings its own;
* `LENDWELL_LOG_URL`: address of the decision log; `LENDWELL_LOG_KEY`: key of its hashes;
* `LENDWELL_SNAPSHOT`: file of `lendwell snapshot`, for requests by `customer_id` alone;
* `LENDWELL_REQUEST_SAMPLE`: share of raw requests (0 to 1, none by default) to keep in the folder
  `LENDWELL_REQUEST_LOG`, for `lendwell monitor --parity`;
* `LENDWELL_KEYS`: file of the API keys that callers need; `LENDWELL_RATE`: requests a second of each;
* `LENDWELL_RULES`, `LENDWELL_PRODUCTS`, `LENDWELL_STRATEGY`: what applications are decided by, if not Lendwell's own;
* `LENDWELL_SHADOW_STRATEGIES`: strategies that decide beside it and are never answered, separated as in PATH.

BentoML keeps the process, its socket and its end; every request is answered by `serving.app`, `/healthz`, `/readyz` and
`/metrics` too: BentoML's own would make a label of any path that is asked for.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml

from data_contracts.errors import LendwellError, ServiceError

if TYPE_CHECKING:  # BentoML's own process imports this module as well: what scores is left to the worker
    from serving.decision_log import DecisionLog
    from serving.request_log import RequestLog

CHAMPION = "champion"
_OF_THE_BENTO = Path(__file__).resolve().parent.parent / "bundle"
_DRAIN_SECONDS = 2.0
_SIGNAL_AT_PARENTS_DEATH = 1  # prctl's PR_SET_PDEATHSIG


class _Answering:
    """In front of BentoML's own routes and middlewares; what starts and ends the process goes on to them.

    BentoML keeps a timer and a span of each request for as long as its time-out is. Ten thousands of them make each
    full collection of garbage a stall of a quarter of a second; requests have limits of their own in `serving.wire`.
    """

    ours: Any = None

    def __init__(self, app: Any) -> None:
        self._theirs = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":  # the first call of all
            scope["app"].middleware_stack = self
        await (self.ours if scope["type"] == "http" else self._theirs)(scope, receive, send)


@bentoml.service(
    name="lendwell",
    workers=1,
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class ScoringService:
    """Answers score requests with the champions' bundles."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Fetch and verify the bundle once, before BentoML starts a worker that it would start again and again."""
        try:
            if not os.environ.get("LENDWELL_CHECKED"):  # by `serving.launch`, which has seen to it
                from training.manifest import verify

                os.environ["LENDWELL_BUNDLE"] = str(_bundle_path())
                verify(_bundle_path())
                with _decision_log() as log:
                    _request_log(log)
        except LendwellError as error:
            raise SystemExit(f"lendwell: {error}") from None

    def __init__(self) -> None:
        _end_with_parent()
        try:
            self._open()
        except LendwellError as error:
            # past BentoML's traceback: the cause in one line; it will try again, for a database may come back
            sys.stderr.write(f"lendwell: {error}\n")
            sys.stderr.flush()
            os._exit(error.exit_code)

    def _open(self) -> None:
        import torch

        from policy.declared import declared, shadow_strategies
        from serving.access import guarded
        from serving.app import create_app
        from serving.decide import Decider
        from serving.lineup import Lineup
        from serving.scorer import Scorer
        from serving.snapshot import Snapshot
        from serving.takeover import Takeover
        from training.bundle import Bundle

        torch.set_num_threads(1)
        roster = os.environ.get("LENDWELL_ROSTER")
        self._takeover = Takeover(Path(roster)) if roster else None
        fixed = [] if roster else [Scorer(Bundle.load(_bundle_path()), _version())]
        lineup = self._takeover.lineup if self._takeover else Lineup(fixed)
        self._log = _decision_log()
        snapshot = Snapshot(Path(file)) if (file := os.environ.get("LENDWELL_SNAPSHOT")) else None
        book, products, strategy = declared()
        app = create_app(
            lineup,
            self._log,
            clock=_now,
            request_log=_request_log(self._log),
            snapshot=snapshot,
            decider=Decider(book, products, strategy, _now, shadow_strategies(products)),
        )
        self._shadow = app.state.lendwell.shadow
        _Answering.ours = guarded(app, _now)
        # a full collection over the heap of the imported libraries would stall answers for a fifth of a second
        gc.collect()
        gc.freeze()
        if self._takeover:
            self._takeover.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Write what the challenger has said, and give back the connections of the decision log."""
        if self._takeover:
            self._takeover.end()
        await self._shadow.drain(_DRAIN_SECONDS)
        await asyncio.to_thread(self._log.close)


ScoringService.add_asgi_middleware(_Answering)  # type: ignore[attr-defined]  # BentoML's decorator tells no type


def _end_with_parent() -> None:
    """Let Linux end this worker when BentoML's own process was killed: it would keep the port and answer unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_DEATH, signal.SIGTERM)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _bundle_path() -> Path:
    given = os.environ.get("LENDWELL_BUNDLE")
    if given:
        return Path(given)
    if _OF_THE_BENTO.is_dir():
        return _OF_THE_BENTO
    model, tracking = os.environ.get("LENDWELL_MODEL"), os.environ.get("LENDWELL_TRACKING_URI")
    if not model or not tracking:
        raise ServiceError("Say what to serve: LENDWELL_BUNDLE, or LENDWELL_MODEL and LENDWELL_TRACKING_URI.")
    from training import registry

    version = os.environ.setdefault("LENDWELL_VERSION", CHAMPION)
    into = os.environ.get("LENDWELL_BUNDLES") or tempfile.mkdtemp(prefix="lendwell-bundle-")
    return registry.download_bundle(tracking, model, version, Path(into))


def _version() -> str:
    told = _OF_THE_BENTO.with_name("bundle_version")
    given = os.environ.get("LENDWELL_VERSION")
    return given or (told.read_text(encoding="utf-8") if told.is_file() else "unregistered")


def _decision_log() -> DecisionLog:
    from serving.decision_log import DecisionLog

    return DecisionLog.open(_log_url())


def _request_log(log: DecisionLog) -> RequestLog | None:
    from serving.request_log import open_request_log

    given, folder = os.environ.get("LENDWELL_REQUEST_SAMPLE") or "0", os.environ.get("LENDWELL_REQUEST_LOG")
    try:
        share = float(given)
    except ValueError:
        raise ServiceError(f"LENDWELL_REQUEST_SAMPLE is {given!r}; give a share from 0 to 1, such as 0.05.") from None
    return open_request_log(Path(folder) if folder else None, share, log.pseudonym)


def _log_url() -> str:
    url = os.environ.get("LENDWELL_LOG_URL")
    if not url:
        raise ServiceError("Say where decisions are logged: LENDWELL_LOG_URL=sqlite:///PATH or postgresql://...")
    return url
