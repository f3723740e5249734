"""The BentoML service: `serving.launch` starts it, or `bentoml serve serving.service:ScoringService` by hand.

Configured by the environment, since BentoML imports this module in processes of its own:

* `LENDWELL_BUNDLE`: folder of a bundle; or `LENDWELL_MODEL`, `LENDWELL_VERSION` (an alias or number, `champion` by
  default) and `LENDWELL_TRACKING_URI` to take it from the registry into `LENDWELL_BUNDLES`;
* `LENDWELL_LOG_URL`: address of the decision log; `LENDWELL_LOG_KEY`: key of its hashes;
* `LENDWELL_REQUEST_SAMPLE`: share of raw requests (0 to 1, none by default) to keep in the folder
  `LENDWELL_REQUEST_LOG`, for `lendwell monitor --parity`;
* `LENDWELL_RULES`, `LENDWELL_PRODUCTS`, `LENDWELL_STRATEGY`: what applications are decided by, if not Lendwell's own.

BentoML answers `/healthz`, `/readyz` and `/metrics` itself; `__is_ready__` tells it when.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bentoml

from data_contracts.errors import LendwellError, ServiceError
from serving.decision_log import DecisionLog
from serving.request_log import RequestLog, open_request_log

CHAMPION = "champion"


class _Mounted:
    """The ASGI application that BentoML mounts on import, when there is no bundle yet to answer with."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


_mounted = _Mounted()


@bentoml.asgi_app(_mounted, path="/", name="lendwell")
@bentoml.service(
    name="lendwell",
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    metrics={"enabled": True},
)
class ScoringService:
    """Answers score requests with the champion's bundle."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Fetch and verify the bundle once, before BentoML starts a worker that it would start again and again."""
        try:
            if not os.environ.get("LENDWELL_CHECKED"):  # by `serving.launch`, which has seen to it
                from training.manifest import verify

                os.environ["LENDWELL_BUNDLE"] = str(_bundle_path())
                verify(_bundle_path())
                with DecisionLog.open(_log_url()) as log:
                    _request_log(log)
        except LendwellError as error:
            raise SystemExit(f"lendwell: {error}") from None

    def __init__(self) -> None:
        try:
            self._open()
        except LendwellError as error:
            # past BentoML's traceback: the cause in one line; it will try again, for a database may come back
            sys.stderr.write(f"lendwell: {error}\n")
            sys.stderr.flush()
            os._exit(error.exit_code)

    def _open(self) -> None:
        import torch

        from policy.declared import declared
        from serving.app import create_app
        from serving.decide import Decider, can_decide
        from serving.scorer import Scorer
        from training.bundle import Bundle

        torch.set_num_threads(1)
        bundle = Bundle.load(_bundle_path())
        self._log = DecisionLog.open(_log_url())
        scorer = Scorer(bundle, version=os.environ.get("LENDWELL_VERSION") or "unregistered")
        _mounted.app = create_app(
            scorer,
            self._log,
            clock=_now,
            request_log=_request_log(self._log),
            decider=Decider(*declared(), _now) if can_decide(scorer) else None,
        )
        # a full collection over the heap of the imported libraries would stall answers for a fifth of a second
        gc.collect()
        gc.freeze()

    def __is_ready__(self) -> bool:
        return self._log.is_reachable()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Give back the connections of the decision log."""
        self._log.close()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _bundle_path() -> Path:
    given = os.environ.get("LENDWELL_BUNDLE")
    if given:
        return Path(given)
    model, tracking = os.environ.get("LENDWELL_MODEL"), os.environ.get("LENDWELL_TRACKING_URI")
    if not model or not tracking:
        raise ServiceError("Say what to serve: LENDWELL_BUNDLE, or LENDWELL_MODEL and LENDWELL_TRACKING_URI.")
    from training import registry

    version = os.environ.setdefault("LENDWELL_VERSION", CHAMPION)
    into = os.environ.get("LENDWELL_BUNDLES") or tempfile.mkdtemp(prefix="lendwell-bundle-")
    return registry.download_bundle(tracking, model, version, Path(into))


def _request_log(log: DecisionLog) -> RequestLog | None:
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
