from __future__ import annotations

from pathlib import Path

import numpy as np

from data_contracts.folder import TableFolder
from evaluation.attribution import Explainer
from evaluation.reasons import ReasonWriter
from evaluation.reference_reasons import first_code, with_reasons
from training.bundle import Bundle
from training.run import Rows

Trained = tuple[TableFolder, Rows, Bundle]


def test_each_reference_row_is_explained_as_it_would_be_answered(trained: Trained, tmp_path: Path) -> None:
    _, rows, bundle = trained
    explained = with_reasons(bundle, rows)
    at = np.array([0, 7])
    place = rows.features.index.get_indexer(explained.reference_rows.applications[at])
    features, events = rows.features.iloc[place], rows.events.take(place)
    written = ReasonWriter.of(explained).write(Explainer.of(explained)(features, events), features, events)
    codes = explained.reference_rows.requests["reason"]
    assert codes[at].tolist() == [first_code(reasons) for reasons in written]
    assert codes.notna().all()
    explained.save(tmp_path / "bundle")
    loaded = Bundle.load(tmp_path / "bundle")
    assert loaded.reference_rows.requests["reason"].tolist() == codes.tolist()
    assert with_reasons(loaded, rows) is loaded  # whose rows they are is not saved
