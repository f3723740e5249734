"""Training of the PyTorch parts: seeded, stopped early on held-out rows, kept in float32, scored in float64.

Scoring in float64 makes a row's answer independent of the batch that it comes in (to rounding far below 1e-9).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from data_contracts.errors import BundleError
from training.estimator import Floats, Integers

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class Schedule:
    """How a net is trained: steps of AdamW over shuffled batches until the held-out log loss stops falling.

    `max_epochs` passes at most; `patience` passes without a better held-out log loss end the training.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int


@contextmanager
def threads(n_jobs: int | None) -> Iterator[None]:
    """Use `n_jobs` threads of PyTorch inside the block, as many as before afterwards; None changes nothing.

    One is the default of the nets: their steps are so small that a second thread spends its time waiting, and on a
    busy machine it makes a fit ten times as slow.
    """
    before = torch.get_num_threads()
    if n_jobs is not None and n_jobs != before:
        torch.set_num_threads(n_jobs)
    try:
        yield
    finally:
        if n_jobs is not None and n_jobs != before:
            torch.set_num_threads(before)


def fastest_device() -> torch.device:
    """The GPU where there is one, else the CPU; scoring is always on the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def shifted(progress: Callable[[float], None], done: int, total: int) -> Callable[[float], None]:
    """Progress of one of several equal trainings as progress of them all."""
    return lambda share: progress((done + share) / total)


@contextmanager
def seeded(seed: int, n_jobs: int | None) -> Iterator[None]:
    """Draw from a seed and use `n_jobs` threads inside the block; both are as before afterwards."""
    with torch.random.fork_rng(devices=[]), threads(n_jobs):
        torch.manual_seed(seed)
        yield


def train(
    net: nn.Module,
    logits: Callable[[Integers], Tensor],
    y: Integers,
    split: tuple[Integers, Integers],
    schedule: Schedule,
    progress: Callable[[float], None] | None = None,
    sample_weight: Floats | None = None,
) -> list[float]:
    """Train `net` in place and leave it as it was in its best epoch.

    Parameters
    ----------
    net : Module
        In float32, on any device; on the CPU, in float64 and evaluation mode afterwards.
    logits : callable
        Rows to logits of shape (rows,) or (rows, members); members are averaged to judge, trained one by one.
    y : ndarray of 0/1, shape (n,)
        Labels.
    split : (train, held-out) rows
        The held-out rows only judge.
    schedule : Schedule
        Steps and when to stop.
    progress : callable, optional
        Called with the share of `max_epochs` that is done.
    sample_weight : ndarray, shape (n,), optional
        How much each row counts; all alike by default.

    Returns
    -------
    list of float
        Held-out log loss after each epoch.
    """
    seen, held = split
    device = next(net.parameters()).device
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    target, each = (torch.as_tensor(array, dtype=torch.float32, device=device) for array in (y, weights))
    optimizer = torch.optim.AdamW(net.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("output.bias"):  # start at the prior, so that no step is spent on finding it
                rows = torch.as_tensor(seen)
                parameter.add_(torch.logit((each[rows] * target[rows]).sum() / each[rows].sum()))
    best, best_epoch, kept = float("inf"), 0, copy.deepcopy(net.state_dict())
    history: list[float] = []
    for epoch in range(1, schedule.max_epochs + 1):
        net.train()
        for batch in _batches(seen, schedule.batch_size):
            loss = _loss(logits(batch), target, each, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        judged = _held_out_loss(net, logits, target, each, held)
        history.append(judged)
        if judged < best - 1e-6:
            best, best_epoch, kept = judged, epoch, copy.deepcopy(net.state_dict())
        if progress is not None:
            progress(epoch / schedule.max_epochs)
        if epoch - best_epoch >= schedule.patience:
            break
    net.load_state_dict(kept)
    net.cpu().double().eval().requires_grad_(False)
    return history


def write_net(path: Path, net: nn.Module) -> None:
    """Write the weights as safetensors in float32, which loses nothing: they were trained in it."""
    weights = {name: (v.float() if v.is_floating_point() else v).contiguous() for name, v in net.state_dict().items()}
    path.write_bytes(save_tensors(weights))


def read_net(path: Path, net: Net) -> Net:
    """Fill `net` with weights that `write_net` wrote, ready to score; `BundleError` where they do not fit."""
    try:
        net.load_state_dict(load_tensors(path.read_bytes()))
    except Exception as error:  # safetensors raises its own error, torch a RuntimeError, the disk an OSError
        raise BundleError(f"{path.name} of a saved model does not hold the weights it should ({error})") from error
    return net.double().eval().requires_grad_(False)


def _batches(rows: Integers, size: int) -> Iterator[Integers]:
    """Rows in a drawn order, in batches of nearly the same size, so that no batch is a noisy remainder."""
    order = rows[torch.randperm(len(rows)).numpy()]
    yield from np.array_split(order, max(1, round(len(order) / size)))


def _loss(predicted: Tensor, target: Tensor, each: Tensor, rows: Integers) -> Tensor:
    """Weighted mean log loss of some rows, over members where there are several."""
    at = torch.as_tensor(rows)
    wanted, weight = target[at], each[at]
    if predicted.ndim > 1:
        wanted, weight = wanted[:, None].expand_as(predicted), weight[:, None].expand_as(predicted)
    return nn.functional.binary_cross_entropy_with_logits(predicted, wanted, weight, reduction="sum") / weight.sum()


def _held_out_loss(
    net: nn.Module, logits: Callable[[Integers], Tensor], target: Tensor, each: Tensor, held: Integers
) -> float:
    net.eval()
    with torch.no_grad():
        parts = [logits(rows) for rows in np.array_split(held, max(1, len(held) // 4096))]
        predicted = torch.cat([part if part.ndim == 1 else part.mean(dim=1) for part in parts])
        return float(_loss(predicted, target, each, held))
