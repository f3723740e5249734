"""Start the BentoML service as a process of its own, and end it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

from data_contracts.errors import ServiceError
from serving.access import Access

_ROOMS = Path(__file__).resolve().parent.parent
_BENTOML = [sys.executable, "-m", "bentoml", "serve"]
_SERVICE = "serving.service:ScoringService"
_GRACE_SECONDS = 30.0  # for requests under way
_LOOK_SECONDS = 0.5
_IDLE_SECONDS = 75  # callers keep a connection for less (httpx 5, nginx 60), so none is closed as it is used


def serve(
    who: Path,
    log_url: str,
    host: str = "127.0.0.1",
    port: int = 3000,
    *,
    version: str | None = None,
    home: Path | None = None,
    request_log: Path | None = None,
    request_sample: float = 0.0,
    access: Access | None = None,
    snapshot: Path | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> int:
    """Serve until the process is interrupted; returns the service's exit code.

    Parameters
    ----------
    who : Path
        Folder of a bundle, which is verified first; or the roster of a `serving.follow.Follower`.
    log_url : str
        Address of the decision log; it is opened first.
    host, port : str, int
        An IP address of this machine and a port.
    version : str, optional
        The registry's version or alias of the bundle, repeated in each answer; a roster has its own.
    home : Path, optional
        Where BentoML may write; a temporary folder by default.
    request_log : Path, optional
        Folder where raw requests are kept, see `serving.request_log`.
    request_sample : float, default 0
        Share of requests that is kept there.
    access : Access, optional
        API keys and certificate; without it this machine is answered, without keys.
    snapshot : Path, optional
        Records of customers who are asked for by their id alone, see `serving.snapshot`.
    meanwhile : callable, optional
        Called twice a second while the service runs: `Follower.look`.

    Raises
    ------
    BundleError
        The bundle is incomplete or changed.
    SourceError
        There is no such snapshot.
    ServiceError
        The port is in use, the decision log cannot be opened, or requests cannot be kept as asked.
    """
    keep = (request_log, request_sample)
    with _started(
        who, log_url, host, port, version=version, home=home, keep=keep, snapshot=snapshot, access=access, output=None
    ) as process:
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            while meanwhile is not None:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(_LOOK_SECONDS)
                meanwhile()
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            signal.signal(signal.SIGTERM, previous)


@contextmanager
def running_service(
    who: Path,
    log_url: str,
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    version: str | None = None,
    home: Path | None = None,
    request_log: Path | None = None,
    request_sample: float = 0.0,
    snapshot: Path | None = None,
    access: Access | None = None,
    output: Path | None = None,
    ready_seconds: float = 60.0,
) -> Iterator[str]:
    """A service that is ready to answer for as long as the block lasts; yields its base URL.

    Parameters
    ----------
    who, log_url, host, version, home, request_log, request_sample, snapshot, access
        As in `serve`.
    port : int, optional
        A free one by default.
    output : Path, optional
        File that keeps what the service says.
    ready_seconds : float, default 60
        How long the start may take.

    Raises
    ------
    BundleError
        The bundle is incomplete or changed.
    ServiceError
        The port is in use, the decision log cannot be opened, or the service does not get ready in time.
    """
    chosen = free_port(host) if port is None else port
    keep = (request_log, request_sample)
    with (
        output.open("w+b") if output else tempfile.TemporaryFile() as said,
        _started(
            who,
            log_url,
            host,
            chosen,
            version=version,
            home=home,
            keep=keep,
            snapshot=snapshot,
            access=access,
            output=said,
        ) as process,
    ):
        base_url = f"{access.scheme if access else 'http'}://{host}:{chosen}"
        _await_ready(process, base_url, ready_seconds, said)
        yield base_url


@contextmanager
def _started(
    who: Path,
    log_url: str,
    host: str,
    port: int,
    *,
    version: str | None,
    home: Path | None,
    keep: tuple[Path | None, float],
    access: Access | None,
    snapshot: Path | None,
    output: IO[bytes] | None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Check all that can be checked before a process is started, start it, and end its whole group afterwards."""
    from policy.declared import declared, shadow_strategies
    from serving.decision_log import DecisionLog
    from serving.request_log import open_request_log
    from serving.snapshot import Snapshot
    from training.manifest import verify

    access = access or Access()
    access.check(host)
    require_free(host, port)
    _, products, _ = declared()
    shadow_strategies(products)
    if not who.is_file():  # the bundles of a roster were verified when they were fetched
        verify(who)
    if snapshot is not None:
        Snapshot(snapshot).close()
    request_log, request_sample = keep
    with DecisionLog.open(log_url) as log:
        open_request_log(request_log, request_sample, log.pseudonym)
    with ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lendwell-bentoml-")))
        environment = {
            **os.environ,
            **access.environment,
            "BENTOML_HOME": str(folder.absolute()),
            "BENTOML_DO_NOT_TRACK": "True",
            "LENDWELL_ROSTER" if who.is_file() else "LENDWELL_BUNDLE": str(who.absolute()),
            "LENDWELL_CHECKED": "yes",
            "LENDWELL_LOG_URL": log_url,
            "LENDWELL_REQUEST_LOG": "" if request_log is None else str(request_log.absolute()),
            "LENDWELL_REQUEST_SAMPLE": repr(request_sample),
            "LENDWELL_SNAPSHOT": "" if snapshot is None else str(snapshot.absolute()),
            "LENDWELL_VERSION": version or "",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOMS), os.environ.get("PYTHONPATH")])),
        }
        process = subprocess.Popen(
            [
                *_BENTOML,
                _SERVICE,
                *("--host", host, "--port", str(port), "--timeout-keep-alive", str(_IDLE_SECONDS)),
                *access.options,
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a group of its own, so that no worker is left behind
        )
        try:
            yield process
        finally:
            _end(process)


def require_free(host: str, port: int) -> None:
    """`ServiceError` where something listens at the address already, or it is none of this machine."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as fault:
            raise ServiceError(
                f"The service cannot listen at {host}:{port} ({fault}). End what runs there, or choose another --port."
            ) from None


def free_port(host: str) -> int:
    """A port of an address of this machine at which nothing listens now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _await_ready(process: subprocess.Popen[bytes], base_url: str, seconds: float, output: IO[bytes]) -> None:
    deadline = time.monotonic() + seconds
    # whose certificate it is does not matter: it is the process that was started here
    with httpx.Client(base_url=base_url, timeout=2.0, trust_env=False, verify=False) as client:  # noqa: S501
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ServiceError(f"The service ended while it started: {_last_words(output)}")
            with suppress(httpx.HTTPError):
                if client.get("/readyz").status_code == 200:
                    return
            time.sleep(0.05)
    raise ServiceError(f"The service was not ready after {seconds:g} seconds: {_last_words(output)}")


def _last_words(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").strip().splitlines()
    told = [line.removeprefix("lendwell: ") for line in lines if line.startswith("lendwell: ")]
    return (told or lines or ["it said nothing"])[-1]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group that `_started` made: by asking, then by force."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
