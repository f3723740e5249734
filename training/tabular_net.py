"""The tabular net: TabM over piecewise-linear embeddings of quantile-normalised features, in PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from rtdl_num_embeddings import PiecewiseLinearEmbeddings
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from scipy.special import ndtri
from tabm import TabM
from torch import Tensor, nn

from training.embedding_kernel import embed
from training.estimator import Floats, Integers, RowClassifier, checked_weights, inner_split, read_json, write_json
from training.net import Schedule, fastest_device, read_net, seeded, shifted, threads, train, write_net

_FEW = 64  # rows whose inputs, once per member, stay in the cache
_MANY = 1024  # rows that make up for reading the weights of all members
_MOST_WEIGHTS = 1 << 22  # of the first layer of all members, 32 MB


class QuantileNormalizer:
    """Map each feature to a normal scale by the ranks it had in training; NaN stays NaN.

    A value that many rows share gets the middle of its ranks; between two known values the map is linear, beyond
    the known ones it stays at the edge. A feature without any value maps to 0. Values count to single precision, as
    they do in XGBoost: two that differ in their last bits must not stand on two sides of a step.

    Examples
    --------
    >>> normal = QuantileNormalizer.learn(np.array([[1.0], [2.0], [2.0], [9.0], [np.nan]]))
    >>> normal.transform(np.array([[2.0], [np.nan], [1e9]])).round(2).ravel().tolist()
    [0.0, nan, 1.15]
    """

    def __init__(self, values: Floats, scores: Floats) -> None:
        self.values = values  # (knots, n_features), rising, padded at the end by the last value
        self.scores = scores  # (knots, n_features)
        self._columns = np.arange(values.shape[1])

    @classmethod
    def learn(cls, X: Floats, knots: int = 128) -> QuantileNormalizer:
        """Learn the ranks of at most `knots` values per feature."""
        columns = [_knots(column[~np.isnan(column)], knots) for column in _single(X).T]
        height = max(2, *(len(values) for values, _ in columns)) if columns else 2
        padded = [[np.pad(part, (0, height - len(part)), mode="edge") for part in column] for column in columns]
        values, scores = np.moveaxis(np.array(padded), 0, 2)
        return cls(values, scores)

    def transform(self, X: Floats) -> Floats:
        """Normal scores of X, shape (n, n_features)."""
        X = _single(X)
        if len(X) == 1:  # one request: a comparison with all knots at once beats a loop over the features
            right = (self.values < X).sum(axis=0, keepdims=True)
        else:
            right = np.column_stack([np.searchsorted(known, x) for known, x in zip(self.values.T, X.T, strict=True)])
        right = np.clip(right, 1, len(self.values) - 1)
        low, high = self.values[right - 1, self._columns], self.values[right, self._columns]
        start, end = self.scores[right - 1, self._columns], self.scores[right, self._columns]
        share = np.clip((X - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        scores: Floats = start + share * (end - start)
        return scores


class MissingAwareEmbeddings(PiecewiseLinearEmbeddings):  # type: ignore[misc]
    """Piecewise-linear embeddings in which NaN is the feature's middle plus a learned vector.

    Where training saw no missing value the vector stays 0, so that a value missing later counts as the middle.
    """

    def __init__(self, bins: list[Tensor], d_embedding: int) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The .* feature has just two bin edges")  # a flag has one piece
            super().__init__(bins, d_embedding, activation=False, version="B")
        self.missing = nn.Parameter(torch.zeros(len(bins), d_embedding))

    def forward(self, x: Tensor) -> Tensor:
        """Embed normal scores of shape (n, n_features) as (n, n_features, d_embedding)."""
        absent = torch.isnan(x)
        embedded: Tensor = super().forward(torch.where(absent, 0.0, x)) + absent[..., None] * self.missing
        return embedded


class _Scoring:
    """A trained net as tables, so that a row costs half as much as through the modules.

    The embeddings are a table by knot. The members of the ensemble share the weights of a layer but for a factor per
    input and per output: here each has its own. In the first layer, where they are many, that pays for many rows only.
    """

    def __init__(self, columns: list[int], normalizer: QuantileNormalizer, net: TabM) -> None:
        self.columns = np.array(columns)
        self.knots = np.ascontiguousarray(normalizer.values.T)
        self.n_known = 1 + (np.diff(self.knots, axis=1) > 0.0).sum(axis=1)
        with torch.inference_mode():
            # the embedding at each knot's score: (n_knots, n_features, d)
            at_knots = net.num_module(torch.as_tensor(normalizer.scores)).numpy()
            self.missing = net.num_module(torch.full((1, at_knots.shape[1]), torch.nan, dtype=torch.float64))[0].numpy()
            first, *later = (block[0] for block in net.backbone.blocks)
            self.factors, self.shared = (first.r, first.s), first.weight.T.contiguous()
            self.bias = first.bias.flatten()
            few = len(first.s) * first.weight.numel() <= _MOST_WEIGHTS
            self.own = _of_members(first).transpose(0, 1).flatten(1).contiguous() if few else None
            self.later = [(layer.bias[:, None], _of_members(layer)) for layer in later]
            self.later.append((net.output.bias[:, None], net.output.weight))
        self.table = np.ascontiguousarray(at_knots.transpose(1, 0, 2))

    def embedded(self, rows: Floats) -> Tensor:
        """Embedded features, shape (n, n_used, d), of rows of raw values, shape (n, n_features)."""
        embedded = np.empty((len(rows), len(self.columns), self.table.shape[2]))
        embed(rows, self.columns, self.n_known, self.knots, self.table, self.missing, embedded)
        return torch.from_numpy(embedded)

    def __call__(self, rows: Floats) -> Floats:
        """Mean logit of the members for rows of raw values, shape (n, n_features)."""
        answers = np.empty(len(rows))
        at_once = _FEW if self.own is None or len(rows) <= _FEW else _MANY
        for at in range(0, len(rows), at_once):
            answers[at : at + at_once] = self._answers(rows[at : at + at_once]).numpy()
        return answers

    def _answers(self, rows: Floats) -> Tensor:
        inputs = self.embedded(rows).flatten(1)
        if self.own is None or len(rows) <= _FEW:
            of_inputs, of_outputs = self.factors
            first = ((inputs[:, None] * of_inputs) @ self.shared * of_outputs).flatten(1) + self.bias
        else:
            first = torch.addmm(self.bias, inputs, self.own)
        hidden = first.reshape(len(rows), len(self.factors[0]), -1).transpose(0, 1)  # (k, n, d_block)
        for bias, weights in self.later:
            hidden = torch.baddbmm(bias, torch.relu(hidden), weights)
        answers: Tensor = hidden.mean(dim=0).squeeze(-1)
        return answers


def _of_members(layer: Any) -> Tensor:
    """The weights of each member, shape (k, n_inputs, n_outputs)."""
    return torch.einsum("ki,oi,ko->kio", layer.r, layer.weight, layer.s)


class TabularNetClassifier(RowClassifier):
    """An ensemble of small nets that share most weights (TabM), for what trees cannot draw smoothly.

    Parameters
    ----------
    k : int, default 8
        Members of the ensemble inside one net.
    d_block, n_blocks, d_embedding, n_bins : int
        Width and number of the layers, numbers per embedded feature, pieces of its embedding.
    dropout, learning_rate, weight_decay, batch_size : float
        As usual; AdamW.
    max_epochs, patience : int
        Passes over the rows at most, and passes without a better held-out log loss before stopping.
    inner_share : float, default 0.15
        Share of rows held out for early stopping; the stopped net is the final one.
    n_seeds : int, default 1
        Nets whose log-odds are averaged.
    random_state : int, default 0
        Seed; the same seed and number of threads give the same net.
    n_jobs : int or None, default 1
        Threads; None leaves PyTorch's setting. One is fastest unless the machine is idle and the rows are many.

    Attributes
    ----------
    history_ : list of list of float
        Held-out log loss by epoch, a list a seed. Not kept by `save`.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 60).reshape(-1, 1)
    >>> net = TabularNetClassifier(k=2, d_block=8, batch_size=16, learning_rate=0.02).fit(X, X[:, 0] > 0)
    >>> net.log_odds(X).shape
    (60,)
    """

    columns_: list[int]
    normalizer_: QuantileNormalizer
    nets_: list[TabM]
    history_: list[list[float]]
    _scoring: list[_Scoring]

    def __init__(
        self,
        *,
        k: int = 8,
        d_block: int = 64,
        n_blocks: int = 2,
        d_embedding: int = 4,
        n_bins: int = 12,
        dropout: float = 0.1,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 256,
        max_epochs: int = 40,
        patience: int = 4,
        inner_share: float = 0.15,
        n_seeds: int = 1,
        random_state: int = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.k = k
        self.d_block = d_block
        self.n_blocks = n_blocks
        self.d_embedding = d_embedding
        self.n_bins = n_bins
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.inner_share = inner_share
        self.n_seeds = n_seeds
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Learn the ranks of the features, then train until held-out rows stop gaining.

        Parameters
        ----------
        X : DataFrame or ndarray, shape (n, n_features)
            NaN = missing. Features that never vary are left out of the net.
        y : array, shape (n,)
            Two classes; the second in order is the bad one.
        groups : array, shape (n,), optional
            Rows of one group stay on one side of the inner split.
        sample_weight : array, shape (n,), optional
            How much each row counts, 0 for not at all; all alike by default.
        progress : callable, optional
            Called with the share of the work that is done at most.

        Raises
        ------
        FitError
            One class only, too few rows, or infinite values.
        """
        rows, labels = self._start_fit(X, y)
        each = checked_weights(sample_weight, labels)
        self.columns_ = _varying(rows)
        self.normalizer_ = QuantileNormalizer.learn(rows[:, self.columns_])
        scores = self.normalizer_.transform(rows[:, self.columns_])
        device = fastest_device()
        inputs = torch.as_tensor(scores, dtype=torch.float32, device=device)
        schedule = Schedule(self.learning_rate, self.weight_decay, self.batch_size, self.max_epochs, self.patience)
        self.nets_, self.history_ = [], []
        for k in range(self.n_seeds):
            split = inner_split(labels, self.inner_share, self.random_state + k, groups)
            with seeded(self.random_state + k, self.n_jobs):
                net = self._net().to(device)
                step = None if progress is None else shifted(progress, k, self.n_seeds)
                self.history_.append(train(net, _logits(net, inputs), labels, split, schedule, step, each))
            self.nets_.append(net)
        self._scoring = [_Scoring(self.columns_, self.normalizer_, net) for net in self.nets_]
        return self

    def log_odds(self, X: Any) -> Floats:
        """Mean log-odds over members and seeds, float64, shape (n,)."""
        rows = np.ascontiguousarray(self._rows(X))
        with torch.inference_mode(), threads(self.n_jobs):
            mean: Floats = np.mean([score(rows) for score in self._scoring], axis=0)
        return mean

    def embedded(self, X: Any) -> list[Tensor]:
        """What each of `nets_` sees of the features in `columns_`: float64, shape (n, n_used, d_embedding)."""
        rows = np.ascontiguousarray(self._rows(X))
        return [score.embedded(rows) for score in self._scoring]

    def save(self, folder: Path) -> None:
        """Write `tabular_net.json` and safetensors for the ranks and each net into `folder`."""
        write_json(
            folder / "tabular_net.json", {**self._declared(), "columns": self.columns_, "seeds": len(self.nets_)}
        )
        ranks = {"values": self.normalizer_.values, "scores": self.normalizer_.scores}
        (folder / "quantiles.safetensors").write_bytes(
            save_arrays({k: np.ascontiguousarray(v) for k, v in ranks.items()})
        )
        for k, net in enumerate(self.nets_):
            write_net(folder / f"tabular_net_{k}.safetensors", net)

    @classmethod
    def load(cls, folder: Path) -> TabularNetClassifier:
        """Read what `save` wrote; `BundleError` where a file is missing or broken."""
        from data_contracts.errors import BundleError

        declared = read_json(folder / "tabular_net.json")
        model = cls(**declared["params"])._declare(declared)
        model.columns_ = declared["columns"]
        try:
            ranks = load_arrays((folder / "quantiles.safetensors").read_bytes())
        except Exception as error:  # safetensors raises its own error, the disk an OSError
            raise BundleError(f"quantiles.safetensors of a saved model cannot be read ({error})") from error
        model.normalizer_ = QuantileNormalizer(ranks["values"], ranks["scores"])
        with seeded(0, None):
            nets = [model._net() for _ in range(declared["seeds"])]
        model.nets_ = [read_net(folder / f"tabular_net_{k}.safetensors", net) for k, net in enumerate(nets)]
        model._scoring = [_Scoring(model.columns_, model.normalizer_, net) for net in model.nets_]
        return model

    def _net(self) -> TabM:
        bins = _bins(self.normalizer_, self.n_bins)
        return TabM.make(
            n_num_features=len(bins),
            d_out=1,
            num_embeddings=MissingAwareEmbeddings(bins, self.d_embedding),
            k=self.k,
            d_block=self.d_block,
            n_blocks=self.n_blocks,
            dropout=self.dropout,
        )


def _single(X: Floats) -> Floats:
    """Values rounded to single precision, kept as doubles."""
    with np.errstate(over="ignore"):
        return X.astype(np.float32).astype(np.float64)


def _knots(known: Floats, most: int) -> tuple[Floats, Floats]:
    """Values and their normal scores: all values where they are few, else evenly spaced ranks."""
    if not len(known):
        return np.zeros(1), np.zeros(1)
    ordered = np.sort(known)
    values = np.unique(ordered)
    if len(values) > most:
        values = np.unique(np.quantile(ordered, np.linspace(0.0, 1.0, most), method="nearest"))
    below, up_to = np.searchsorted(ordered, values), np.searchsorted(ordered, values, side="right")
    return values, ndtri((below + up_to) / (2 * len(ordered)))


def _varying(rows: Floats) -> list[int]:
    """Features with two different values, missing counted as one; the first feature where none varies."""
    known = ~np.isnan(rows)
    low, high = np.where(known, rows, np.inf).min(axis=0), np.where(known, rows, -np.inf).max(axis=0)
    varies = (low < high) | (known.any(axis=0) & ~known.all(axis=0))
    return [int(k) for k in np.flatnonzero(varies)] or [0]


def _bins(normalizer: QuantileNormalizer, n_bins: int) -> list[Tensor]:
    """Edges of the embedding's pieces: known scores at even ranks, one wide piece where there is one value."""
    wanted = ndtri(np.linspace(0.0, 1.0, n_bins + 1))
    edges = []
    for scores in normalizer.scores.T.astype(np.float32):
        cut = np.unique(scores[np.searchsorted(scores, wanted).clip(max=len(scores) - 1)])
        edges.append(torch.as_tensor(cut if len(cut) > 1 else cut[0] + np.array([-1.0, 1.0], dtype=np.float32)))
    return edges


def _logits(net: TabM, inputs: Tensor) -> Callable[[Integers], Tensor]:
    """Rows to logits of every member."""
    return lambda rows: net(inputs[torch.as_tensor(rows)]).squeeze(-1)
