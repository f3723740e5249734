"""Great Expectations at work: a suite asked about rows, and which of them break it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

with warnings.catch_warnings():  # its import of a module that Python retires is not ours to mend
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.filterwarnings("ignore", "PySpark", FutureWarning)  # of pandas 3, where PySpark is installed
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig


class Experts:
    """One context without files or network, asked as often as there are pieces of tables."""

    def __init__(self) -> None:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
        self._whole = asset.add_batch_definition_whole_dataframe("rows")

    def broken(
        self, suite: gx.ExpectationSuite, piece: pd.DataFrame
    ) -> Iterator[tuple[dict[str, Any], npt.NDArray[np.int64]]]:
        """Expectations that do not hold in a piece: their `meta`, and the index of the rows that break them.

        An expectation whose columns (`meta["needs"]`) the piece lacks is left out. Which rows break one is asked only
        where some do: it costs much more than whether any does.
        """
        possible = [one for one in suite.expectations if set((one.meta or {})["needs"]) <= set(piece.columns)]
        if not possible:
            return
        verdicts = self.validate(gx.ExpectationSuite(name=suite.name, expectations=possible), piece, "BOOLEAN_ONLY")
        failed = [verdict["expectation_config"]["meta"] for verdict in verdicts if not verdict["success"]]
        again = [one for one in possible if one.meta in failed]
        if again:
            for verdict in self.validate(gx.ExpectationSuite(name=suite.name, expectations=again), piece, "COMPLETE"):
                rows = np.array(verdict["result"].get("unexpected_index_list") or [], dtype=np.int64)
                yield verdict["expectation_config"]["meta"], rows

    def validate(self, suite: gx.ExpectationSuite, piece: pd.DataFrame, detail: str) -> list[dict[str, Any]]:
        """Verdicts on a piece, in Great Expectations' own form and detail."""
        batch = self._whole.get_batch(batch_parameters={"dataframe": piece})
        answer = batch.validate(suite, result_format={"result_format": detail})
        verdicts = [verdict.to_json_dict() | {"result": verdict.result or {}} for verdict in answer.results]
        for verdict in verdicts:  # an expectation that could not be computed must not pass for a fault of the records
            if (verdict.get("exception_info") or {}).get("raised_exception"):
                failed = verdict["expectation_config"]["type"]
                raise RuntimeError(f"{suite.name}: {failed} could not be computed: {verdict['exception_info']}")
        return verdicts
