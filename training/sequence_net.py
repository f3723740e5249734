"""The sequence net: a small order-and-time-aware encoder over raw events, for what aggregates lose.

It is trained in PyTorch; `sequence_kernel` answers with the same net in a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor, nn

from features.sequences import EventSequences
from training.estimator import (
    FORMAT,
    FitError,
    Floats,
    Integers,
    binary_labels,
    checked_weights,
    inner_split,
    json_values,
    probabilities,
    read_json,
    write_json,
)
from training.net import Schedule, fastest_device, read_net, seeded, shifted, train, write_net
from training.sequence_kernel import NO_MEANING, NOT_FINITE, Weights, fault, score, weights_of

_N_HEADS = 4
_RECENCY_DAYS = (7.0, 30.0, 90.0, 180.0, 365.0, 730.0)
_NORM_EPS = 1e-5
_N_VALUES = 3 + len(_RECENCY_DAYS)


class EventNet(nn.Module):
    """Tokens to one logit: embeddings, causal depthwise convolutions, attention and recency pooling, a small head.

    Every step multiplies by the mask, so that padding, wherever it stands, adds nothing; a row of padding alone
    gets the head's answer to zeros: a learned constant.
    """

    def __init__(self, n_sources: int, n_kinds: int, hidden: int, n_blocks: int, width: int, dropout: float) -> None:
        super().__init__()
        self.source = nn.Embedding(n_sources + 1, hidden)
        self.kind = nn.Embedding(n_kinds + 1, hidden)
        self.values = nn.Linear(_N_VALUES, hidden)
        self.blocks = nn.ModuleList(_ConvBlock(hidden, width, 2**k) for k in range(n_blocks))
        self.attention = nn.Linear(hidden, _N_HEADS)
        self.hidden = nn.Linear(hidden * (_N_HEADS + 2) + 1, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, 1)
        for embedding in (self.source, self.kind):
            nn.init.normal_(embedding.weight, std=0.3)

    def weights(self) -> Weights:
        """What `sequence_kernel` answers with, from the net as it is now."""
        arrays = {name: array.numpy() for name, array in self.state_dict().items()}
        return weights_of(arrays, len(self.blocks), _NORM_EPS, _RECENCY_DAYS)

    def forward(self, source: Tensor, kind: Tensor, values: Tensor) -> Tensor:
        """Logits of shape (n,) for source and kind of shape (n, length) and values of shape (n, length, 3)."""
        present = source > 0
        mask = present[..., None].to(values.dtype)
        tokens = (self.source(source) + self.kind(kind) + self.values(_expanded(values))) * mask
        for block in self.blocks:
            tokens = block(tokens, mask)
        heads = self.attention(tokens).masked_fill(~present[..., None], -1e9)
        share = torch.softmax(heads, dim=1) * mask  # a row of padding alone: all shares become 0
        attended = torch.einsum("nlh,nld->nhd", share, tokens).flatten(1)
        count = mask.sum(dim=1)
        mean = tokens.sum(dim=1) / count.clamp_min(1.0)
        pooled = torch.cat([attended, mean, tokens[:, -1], torch.log1p(count)], dim=1)
        return self.output(self.dropout(torch.relu(self.hidden(pooled)))).squeeze(-1)  # type: ignore[no-any-return]


class SequenceNetClassifier(BaseEstimator):  # type: ignore[misc]
    """A classifier of event histories: what the order and timing of the raw events say about default.

    Parameters
    ----------
    hidden, n_blocks, width : int
        Numbers per token, convolutions (the k-th looks `width` tokens back at steps of 2**k).
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
        Threads to train with; None leaves PyTorch's setting. One is fastest unless the machine is idle and the rows
        are many.

    Attributes
    ----------
    history_ : list of list of float
        Held-out log loss by epoch, a list a seed. Not kept by `save`.
    """

    classes_: npt.NDArray[Any]
    sources_: tuple[str, ...]
    kinds_: tuple[str, ...]
    nets_: list[EventNet]
    history_: list[list[float]]
    _scoring: list[Weights]

    def __init__(
        self,
        *,
        hidden: int = 32,
        n_blocks: int = 2,
        width: int = 4,
        dropout: float = 0.1,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 256,
        max_epochs: int = 15,
        patience: int = 3,
        inner_share: float = 0.15,
        n_seeds: int = 1,
        random_state: int = 0,
        n_jobs: int | None = 1,
    ) -> None:
        self.hidden = hidden
        self.n_blocks = n_blocks
        self.width = width
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
        sequences: EventSequences,
        y: Any,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        progress: Callable[[float], None] | None = None,
    ) -> Self:
        """Train until held-out histories stop gaining.

        Parameters
        ----------
        sequences : EventSequences
            One history per row; an empty one (padding alone) is allowed.
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
            One class only, too few rows, values that are not finite, or another number of rows than labels.
        """
        labels = column_or_1d(y)
        if len(labels) != len(sequences):
            raise FitError(f"there are {len(sequences)} sequences for {len(labels)} labels; give one per row")
        check_classification_targets(labels)
        self.classes_, binary = binary_labels(labels)
        each = checked_weights(sample_weight, binary)
        self.sources_, self.kinds_ = tuple(sequences.sources), tuple(sequences.kinds)
        device = fastest_device()
        inputs = [torch.as_tensor(array, device=device) for array in self._checked(sequences)]
        schedule = Schedule(self.learning_rate, self.weight_decay, self.batch_size, self.max_epochs, self.patience)
        self.nets_, self.history_ = [], []
        for k in range(self.n_seeds):
            split = inner_split(binary, self.inner_share, self.random_state + k, groups)
            with seeded(self.random_state + k, self.n_jobs):
                net = self._net().to(device)
                step = None if progress is None else shifted(progress, k, self.n_seeds)
                self.history_.append(train(net, _logits(net, inputs), binary, split, schedule, step, each))
            self.nets_.append(net)
        self._scoring = [net.weights() for net in self.nets_]
        return self

    def log_odds(self, sequences: EventSequences) -> Floats:
        """Mean log-odds of the seeds, float64, shape (n,)."""
        check_is_fitted(self)
        events = self._checked(sequences)
        answers = np.empty((len(self._scoring), len(sequences)))
        for weights, answer in zip(self._scoring, answers, strict=True):
            score(weights, *events, answer)
        mean: Floats = answers.mean(axis=0)
        return mean

    def decision_function(self, sequences: EventSequences) -> Floats:
        """Log-odds of the bad class, float64, shape (n,)."""
        return self.log_odds(sequences)

    def predict_proba(self, sequences: EventSequences) -> Floats:
        """Probabilities of both classes, shape (n, 2)."""
        return probabilities(self.log_odds(sequences))

    def save(self, folder: Path) -> None:
        """Write `sequence_net.json` and safetensors for each net into `folder`."""
        check_is_fitted(self)
        declared = {
            "format": FORMAT,
            "params": json_values(self.get_params(deep=False)),
            "classes": self.classes_.tolist(),
            "classes_dtype": self.classes_.dtype.str if self.classes_.dtype.kind != "O" else "object",
            "sources": list(self.sources_),
            "kinds": list(self.kinds_),
            "seeds": len(self.nets_),
        }
        write_json(folder / "sequence_net.json", declared)
        for k, net in enumerate(self.nets_):
            write_net(folder / f"sequence_net_{k}.safetensors", net)

    @classmethod
    def load(cls, folder: Path) -> SequenceNetClassifier:
        """Read what `save` wrote; `BundleError` where a file is missing or broken."""
        declared = read_json(folder / "sequence_net.json")
        model = cls(**declared["params"])
        model.classes_ = np.array(declared["classes"], dtype=declared["classes_dtype"])
        model.sources_, model.kinds_ = tuple(declared["sources"]), tuple(declared["kinds"])
        with seeded(0, None):
            nets = [model._net() for _ in range(declared["seeds"])]
        model.nets_ = [read_net(folder / f"sequence_net_{k}.safetensors", net) for k, net in enumerate(nets)]
        model._scoring = [net.weights() for net in model.nets_]
        return model

    def _net(self) -> EventNet:
        return EventNet(len(self.sources_), len(self.kinds_), self.hidden, self.n_blocks, self.width, self.dropout)

    def _checked(self, sequences: EventSequences) -> tuple[Integers, Integers, npt.NDArray[np.float32]]:
        """Source, kind and values of the events, which must mean what they meant in training."""
        if (tuple(sequences.sources), tuple(sequences.kinds)) != (self.sources_, self.kinds_):
            raise FitError(
                f"the sequences have sources {tuple(sequences.sources)} and {len(sequences.kinds)} kinds, the net was "
                f"trained on {self.sources_} and {len(self.kinds_)} kinds; build them with the same version"
            )
        source, kind = (np.ascontiguousarray(array, np.int64) for array in (sequences.source, sequences.kind))
        values = np.ascontiguousarray(sequences.values, np.float32)
        found = fault(source, kind, values, len(self.sources_), len(self.kinds_))
        if found == NO_MEANING:
            raise FitError(
                f"the sequences hold numbers outside their {len(self.sources_)} sources and {len(self.kinds_)} kinds; "
                "build them with features.sequences"
            )
        if found == NOT_FINITE:
            raise FitError("the sequences hold values that are not finite; missing amounts and states are 0")
        return source, kind, values


class _ConvBlock(nn.Module):
    """A causal depthwise convolution, then a mixing of the channels, added to what came in."""

    def __init__(self, hidden: int, width: int, step: int) -> None:
        super().__init__()
        self.step = step
        self.taps = nn.Parameter(torch.randn(width, hidden) / width)
        self.norm = nn.LayerNorm(hidden, eps=_NORM_EPS)
        self.mix = nn.Linear(hidden, 2 * hidden)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        seen = tokens * self.taps[0]
        for back, tap in enumerate(self.taps[1:], start=1):
            shift = back * self.step
            if shift < tokens.shape[1]:
                seen = seen + nn.functional.pad(tokens[:, :-shift] * tap, (0, 0, shift, 0))
        return tokens + nn.functional.glu(self.mix(self.norm(seen)), dim=-1) * mask


def _expanded(values: Tensor) -> Tensor:
    """The three values with how recent the event is on six time scales, each within (0, 1]."""
    scales = torch.log1p(values.new_tensor(_RECENCY_DAYS))
    recent = torch.sigmoid(3.0 * (scales - values[..., :1]))
    return torch.cat([values, recent], dim=-1)


def _logits(net: nn.Module, inputs: Sequence[Tensor]) -> Callable[[Integers], Tensor]:
    """Rows to logits."""
    return lambda rows: net(*_trimmed(inputs, rows))


def _trimmed(inputs: Sequence[Tensor], rows: Any) -> list[Tensor]:
    """The given rows without the leading columns that are padding in all of them."""
    rows = torch.as_tensor(rows)
    source = inputs[0][rows]
    used = torch.nonzero((source > 0).any(dim=0))
    start = int(used[0]) if len(used) else source.shape[1] - 1
    return [source[:, start:], inputs[1][rows][:, start:], inputs[2][rows][:, start:]]
