"""The sequence net's answer in one pass over the events that there are, for scoring: loops compiled by Numba.

A history is held channel by channel, so that every loop but the sums runs over its tokens side by side; only the mixing
of channels is left to BLAS. Each history is computed by itself: its answer is the same bits in any company.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.kernel import compiled

Floats = npt.NDArray[np.float64]

# As in features/kernel.py, machine code that is kept on disk holds these numbers: they may not come from elsewhere.
_LOG2_E = math.log2(math.e)
_SHIFT = 6755399441055744.0  # 1.5 * 2**52: a double that it is added to has its whole part in its last bits
_C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11 = (math.log(2.0) ** k / math.factorial(k) for k in range(1, 12))
NO_MEANING, NOT_FINITE = 1, 2
_LANES = 8  # the tokens of a history are filled up to a multiple of it
_MOST_PRODUCTS = 1 << 18  # beyond it BLAS would wake threads of its own

# A product and a sum may become one operation; sums, where it says so, may be split into lanes.
_loop = partial(compiled, nogil=True, error_model="numpy", fastmath={"contract"})
_sum = partial(compiled, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})


class Weights(NamedTuple):
    """A trained net as the loops read it: what is linear in a row is folded together, exponents are to base 2."""

    source: Floats  # (hidden, n_sources + 1), with the bias of the values
    kind: Floats  # (hidden, n_kinds + 1)
    values: Floats  # (hidden, 3 + n_scales)
    scales: Floats  # (n_scales,): exp(-3 log1p(days)) of each time scale
    taps: Floats  # (n_blocks, width, hidden)
    norm_eps: float
    mix: Floats  # (n_blocks, 2 * hidden, hidden), with the norm's gain
    mix_bias: Floats  # (n_blocks, 2 * hidden)
    heads: Floats  # (n_heads, hidden); their bias is the same for all events and changes no share
    pooled: Floats  # (hidden * (n_heads + 2) + 1, hidden)
    pooled_bias: Floats  # (hidden,)
    output: Floats  # (hidden,)
    output_bias: float


def weights_of(net: Mapping[str, Floats], n_blocks: int, norm_eps: float, scales_days: Sequence[float]) -> Weights:
    """Weights as the loops read them, from a net's arrays by name, in double precision.

    Parameters
    ----------
    net : mapping of str to ndarray
        The state of an `EventNet` of so many blocks.
    norm_eps : float
        What the blocks' norms add to the variance.
    scales_days : sequence of float
        Time scales of recency.
    """
    hidden = len(net["hidden.bias"])
    width = len(net["blocks.0.taps"]) if n_blocks else 1
    taps, mix = np.empty((n_blocks, width, hidden)), np.empty((n_blocks, 2 * hidden, hidden))
    mix_bias = np.empty((n_blocks, 2 * hidden))
    gate = np.repeat([1.0, -_LOG2_E], hidden)  # the gate 1 / (1 + exp(-x)) needs the exponent alone
    for k in range(n_blocks):
        block = f"blocks.{k}"
        inner = net[f"{block}.mix.weight"]
        taps[k] = net[f"{block}.taps"]
        mix[k] = inner * net[f"{block}.norm.weight"] * gate[:, None]
        mix_bias[k] = (inner @ net[f"{block}.norm.bias"] + net[f"{block}.mix.bias"]) * gate
    return Weights(
        source=np.ascontiguousarray((net["source.weight"] + net["values.bias"]).T),
        kind=np.ascontiguousarray(net["kind.weight"].T),
        values=net["values.weight"],
        scales=np.exp(-3.0 * np.log1p(np.asarray(scales_days))),
        taps=taps,
        norm_eps=norm_eps,
        mix=mix,
        mix_bias=mix_bias,
        heads=net["attention.weight"] * _LOG2_E,
        pooled=np.ascontiguousarray(net["hidden.weight"].T),
        pooled_bias=net["hidden.bias"],
        output=net["output.weight"][0],
        output_bias=float(net["output.bias"][0]),
    )


@_loop
def fault(source: Any, kind: Any, values: Any, n_sources: Any, n_kinds: Any) -> Any:
    """What keeps events from being scored: a number without meaning, a value that is not finite, or 0 for nothing."""
    for row in range(source.shape[0]):
        for at in range(source.shape[1]):
            if not (0 <= source[row, at] <= n_sources and 0 <= kind[row, at] <= n_kinds):
                return NO_MEANING
            for k in range(values.shape[2]):
                if not math.isfinite(values[row, at, k]):
                    return NOT_FINITE
    return 0


@_loop
def score(weights: Any, source: Any, kind: Any, values: Any, answers: Any) -> None:
    """Fill `answers`, shape (n,), with a net's logits.

    Parameters
    ----------
    weights : Weights
        From `weights_of`.
    source, kind : ndarray of int64, shape (n, length)
        Within the net's tables, which `fault` tells; 0 is padding, wherever it stands.
    values : ndarray of float32, shape (n, length, 3)
        Finite.
    """
    n_heads, hidden = weights.heads.shape
    for row in range(source.shape[0]):
        first = 0
        while first < source.shape[1] and source[row, first] == 0:
            first += 1
        pooled = np.zeros((n_heads + 2, hidden))
        count = 0.0
        if first < source.shape[1]:
            count = _encode(weights, source[row, first:], kind[row, first:], values[row, first:], pooled)
        answers[row] = _answer(weights, pooled, math.log1p(count))


@_loop
def _encode(weights: Any, source: Any, kind: Any, values: Any, pooled: Any) -> Any:
    """The events of one history as a row per head, their mean and the last of them; how many they are."""
    n_blocks, width, hidden = weights.taps.shape
    n = -(-source.shape[0] // _LANES) * _LANES
    reach = min((width - 1) * 2 ** max(n_blocks - 1, 0), n)
    tokens, normed, mixed = np.zeros((hidden, reach + n)), np.empty((hidden, n)), np.empty((2 * hidden, n))
    shares = np.zeros((weights.heads.shape[0] + 1, n))
    present = shares[weights.heads.shape[0]]
    _embed(weights, source, kind, values, normed, present, tokens)
    for block in range(n_blocks):
        _convolve(weights.taps[block], 2**block, weights.norm_eps, tokens, normed)
        _mix(weights.mix[block], normed, mixed)
        _gate(mixed, weights.mix_bias[block], present, tokens)
    _attend(weights.heads, tokens, shares)
    return _pool(shares, tokens, pooled)


@_loop
def _exp2(x: Any) -> Any:
    """2**x to 1e-14 of itself, for x held within (-1000, 1000), in operations that run side by side."""
    x = min(max(x, -1000.0), 1000.0)
    shifted = x + _SHIFT
    rest = x - (shifted - _SHIFT)  # within (-0.5, 0.5)
    square = rest * rest
    high = (_C8 + _C9 * rest) + square * (_C10 + _C11 * rest)
    middle = (_C4 + _C5 * rest) + square * (_C6 + _C7 * rest)
    low = (1.0 + _C1 * rest) + square * (_C2 + _C3 * rest)
    whole = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52)
    return (low + square * square * (middle + square * square * high)) * whole.view(np.float64)


@_loop
def _embed(weights: Any, source: Any, kind: Any, values: Any, normed: Any, present: Any, tokens: Any) -> None:
    """Write tokens at the end of their room; what stands before them stays 0, and so does padding between them."""
    hidden, n = normed.shape
    n_values, start = values.shape[1], n - source.shape[0]
    told = np.zeros((weights.values.shape[1], n))
    for at in range(source.shape[0]):
        present[start + at] = 1.0 if source[at] > 0 else 0.0
        for k in range(n_values):
            told[k, start + at] = values[at, k]
    age, since = told[0], normed[0]
    for t in range(n):
        since[t] = _exp2(age[t] * (3.0 * _LOG2_E))
    for k in range(weights.scales.shape[0]):
        scale, recent = weights.scales[k], told[n_values + k]
        for t in range(n):
            recent[t] = 1.0 / (1.0 + scale * since[t])
    np.dot(weights.values, told, normed)
    for channel in range(hidden):
        of_source, of_kind, of_values = weights.source[channel], weights.kind[channel], normed[channel, start:]
        token, there = tokens[channel, tokens.shape[1] - source.shape[0] :], present[start:]
        for at in range(source.shape[0]):
            token[at] = (of_values[at] + of_source[source[at]] + of_kind[kind[at]]) * there[at]


@_loop
def _convolve(taps: Any, step: Any, eps: Any, tokens: Any, normed: Any) -> None:
    """The causal depthwise convolution, each token then centred and divided by its spread over the channels."""
    hidden, n = normed.shape
    reach = tokens.shape[1] - n
    mean, spread = np.zeros(n), np.zeros(n)
    for channel in range(hidden):
        seen, now, tap = normed[channel], tokens[channel, reach:], taps[0, channel]
        for t in range(n):
            seen[t] = tap * now[t]
        for back in range(1, min(taps.shape[0], (n - 1) // step + 1)):
            before, tap = tokens[channel, reach - back * step :], taps[back, channel]
            for t in range(n):
                seen[t] += tap * before[t]
        for t in range(n):
            mean[t] += seen[t]
    for t in range(n):
        mean[t] /= hidden
    for channel in range(hidden):
        seen = normed[channel]
        for t in range(n):
            seen[t] -= mean[t]
            spread[t] += seen[t] * seen[t]
    for t in range(n):
        spread[t] = 1.0 / math.sqrt(spread[t] / hidden + eps)
    for channel in range(hidden):
        seen = normed[channel]
        for t in range(n):
            seen[t] *= spread[t]


@_loop
def _mix(weights: Any, normed: Any, mixed: Any) -> None:
    """`mixed` is `weights @ normed`, some rows at a time."""
    rows = max(1, _MOST_PRODUCTS // normed.size)
    for at in range(0, mixed.shape[0], rows):
        np.dot(weights[at : at + rows], normed, mixed[at : at + rows])


@_loop
def _gate(mixed: Any, bias: Any, present: Any, tokens: Any) -> None:
    """Add the first half of the channels to the tokens, as far as the second half lets them through."""
    hidden, n = mixed.shape[0] // 2, mixed.shape[1]
    for channel in range(hidden):
        value, gate = mixed[channel], mixed[hidden + channel]
        value_bias, gate_bias = bias[channel], bias[hidden + channel]
        token = tokens[channel, tokens.shape[1] - n :]
        for t in range(n):
            token[t] += (value[t] + value_bias) * present[t] / (1.0 + _exp2(gate[t] + gate_bias))


@_loop
def _attend(heads: Any, tokens: Any, shares: Any) -> None:
    """Each head's share of every event, before it is divided by their sum."""
    n_heads, hidden = heads.shape
    n = shares.shape[1]
    present = shares[n_heads]
    for head in range(n_heads):
        share = shares[head]
        for channel in range(hidden):
            weight, token = heads[head, channel], tokens[channel, tokens.shape[1] - n :]
            for t in range(n):
                share[t] += weight * token[t]
        most = -math.inf
        for t in range(n):
            if present[t] > 0.0 and share[t] > most:
                most = share[t]
        for t in range(n):
            share[t] = _exp2(share[t] - most) * present[t]


@_sum
def _pool(shares: Any, tokens: Any, pooled: Any) -> Any:
    """The tokens as every head weighs them, their mean and the last one; how many they are."""
    n_shares, n = shares.shape
    whole = 0.0
    for head in range(n_shares):
        share = shares[head]
        whole = 0.0
        for t in range(n):
            whole += share[t]
        for channel in range(tokens.shape[0]):
            token = tokens[channel, tokens.shape[1] - n :]
            found = 0.0
            for t in range(n):
                found += share[t] * token[t]
            pooled[head, channel] = found / whole
    for channel in range(tokens.shape[0]):
        pooled[n_shares, channel] = tokens[channel, tokens.shape[1] - 1]
    return whole  # of the last: of all that are present


@_sum
def _answer(weights: Any, pooled: Any, size: Any) -> Any:
    """The head: from what was pooled and the size of the history to the logit."""
    hidden = pooled.shape[1]
    found = np.empty(hidden)
    for channel in range(hidden):
        found[channel] = weights.pooled_bias[channel] + size * weights.pooled[pooled.size, channel]
    for row in range(pooled.shape[0]):
        for k in range(hidden):
            value, weight = pooled[row, k], weights.pooled[row * hidden + k]
            for channel in range(hidden):
                found[channel] += value * weight[channel]
    logit = weights.output_bias
    for channel in range(hidden):
        logit += max(found[channel], 0.0) * weights.output[channel]
    return logit
