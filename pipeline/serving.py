"""Steps with a champion at work: scores in batch and one by one, the endpoint."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from records import Facts, Progress
from workspace import Home, opened, require_file, with_columns, with_contracts, write_whole

if TYPE_CHECKING:
    from serving.access import Access


def score_batch(model: str, data: Path, out: Path, home: Home, *, progress: Progress | None = None) -> Facts:
    """Score every application of a folder and write `application_id, pd, score`."""
    import numpy as np
    import pandas as pd
    from scipy.special import expit

    from features import batch, sequences

    require_file(out)
    folder = with_columns(opened(data))
    bundle, registered = home.registry().load(model)
    registered.require_in_use()
    matrix = batch.compute(folder, bundle.feature_set, progress=progress)
    background = bundle.background_sequences
    events = None if background is None else sequences.from_folder(folder, background.source.shape[1])
    if progress:
        progress("scores", 0.9)
    log_odds = bundle.model.decision_function(matrix, events) if len(matrix) else np.zeros(0)  # a day without any
    scored = pd.DataFrame(
        {"application_id": matrix.index, "pd": expit(log_odds), "score": bundle.scale.points(log_odds)}
    )
    write_whole(out, lambda path: scored.to_parquet(path, index=False))
    return {
        "model": registered.label,
        "bundle_identity": bundle.identity,
        "rows": len(scored),
        "pd_mean": float(scored["pd"].mean()) if len(scored) else None,
        "file": str(out),
    }


def score(
    home: Home,
    *,
    model: str,
    request: Path | None = None,
    data: Path | None = None,
    application: str | None = None,
    url: str | None = None,
) -> Facts:
    """Score one applicant: a request as JSON, or an application out of tables; by the endpoint where a URL is given."""
    from data_contracts.messages import read_request
    from serving.client import ScoreClient, request_from_tables

    if request is not None:
        if not request.is_file():
            raise SourceError(f"There is no request file {request}.")
        asked = read_request(request.read_bytes())
    elif data is not None and application is not None:
        asked = request_from_tables(TableFolder.open(data), application)
    else:
        raise SourceError("Give a request file, or --data and --application.")
    if url is not None:
        key, authority = os.environ.get("LENDWELL_API_KEY"), os.environ.get("LENDWELL_CA")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with ScoreClient(url, headers=headers, authority=Path(authority) if authority else None) as client:
            return client.score(asked).model_dump()
    from serving.scorer import Scorer

    bundle, registered = home.registry().load(model)
    registered.require_in_use()
    scored = Scorer(bundle, registered.version).score(asked)
    return {
        "model": registered.label,
        "pd": scored.pd,
        "score": scored.score,
        "log_odds": scored.log_odds,
        "reasons": [reason.model_dump() for reason in scored.reasons],
        "warnings": [warned.model_dump() for warned in scored.warnings],
        "sum_of_attributions_minus_log_odds": scored.residual,
    }


def serve(
    models: Sequence[str],
    home: Home,
    *,
    host: str,
    port: int,
    sample_requests: float = 0.0,
    request_log: Path | None = None,
    access: Access | None = None,
    snapshot: Path | None = None,
) -> int:
    """Serve the champions of one or more decision points until interrupted, following who becomes champion.

    A share of raw requests is kept for `monitor_parity`; with a snapshot, a request may name a customer alone.
    """
    from serving import launch
    from serving.follow import Follower

    if access is not None:
        access.check(host)
    launch.require_free(host, port)
    with tempfile.TemporaryDirectory(prefix="lendwell-serving-") as folder:
        follower = Follower(home.registry(), models, Path(folder))
        return launch.serve(
            follower.roster,
            home.log,
            host,
            port,
            request_log=request_log or home.requests,
            request_sample=sample_requests,
            access=access,
            snapshot=snapshot,
            meanwhile=follower.look,
        )


def snapshot(data: Path, out: Path, *, progress: Progress | None = None) -> Facts:
    """Write the records of a folder's customers into one file, for requests by `customer_id` alone."""
    from serving.snapshot import write_snapshot

    require_file(out)
    folder = with_contracts(opened(data))
    rows = 0

    def write(draft: Path) -> None:
        nonlocal rows
        rows = write_snapshot(folder, draft, progress)

    write_whole(out, write)
    return {"customers": rows, "file": str(out)}


def bento(model: str, home: Home, *, out: Path | None = None) -> Facts:
    """Make a Bento from a registered bundle: all that `bentoml serve` or a container needs of it."""
    from serving.bento import build

    if out is not None:
        require_file(out)
    registry = home.registry()
    chosen = registry.find(model).require_in_use()
    with tempfile.TemporaryDirectory(prefix="lendwell-bento-") as folder:
        bundle = registry.download(chosen, Path(folder) / "bundle")
        made = build(bundle, chosen.name, chosen.version, out)
    return {"model": chosen.label, "bento": made.tag, "folder": made.folder, **({"file": str(out)} if out else {})}
