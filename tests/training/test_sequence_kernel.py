"""The loops answer what the net in PyTorch answers, for every shape of net and history, and each row by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import TrainingError
from features.sequences import EventSequences
from training.sequence_kernel import NO_MEANING, NOT_FINITE, fault, score
from training.sequence_net import EventNet, SequenceNetClassifier

SOURCES, KINDS = 3, 5


def trained(hidden: int, n_blocks: int, width: int, *, sources: int = SOURCES, kinds: int = KINDS) -> EventNet:
    """A net as it is after training: biases and gains of the norms moved away from 0 and 1, ready to score."""
    torch.manual_seed(hidden + 10 * n_blocks + 100 * width)
    net = EventNet(sources, kinds, hidden, n_blocks, width, 0.1)
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return net.double().eval().requires_grad_(False)


def by_loops(net, source, kind, values):
    answers = np.empty(len(source))
    score(net.weights(), source, kind, values, answers)
    return answers


def by_module(net, source, kind, values):
    return net(torch.as_tensor(source), torch.as_tensor(kind), torch.as_tensor(values).double()).numpy()


def histories(present, rng, sources: int = SOURCES, kinds: int = KINDS):
    """Events where `present`, shape (n, length), with random source, kind (0 is one that is unknown) and values."""
    present = np.asarray(present)
    source = np.where(present, rng.integers(1, sources + 1, present.shape), 0)
    kind = np.where(present, rng.integers(0, kinds + 1, present.shape), 0)
    values = rng.normal(3.0, 2.0, (*present.shape, 3)) * present[..., None]
    return source, kind, values.astype(np.float32)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 64, 200])
@pytest.mark.parametrize(
    ("hidden", "n_blocks", "width"),
    [(1, 1, 1), (2, 0, 4), (5, 3, 3), (16, 2, 4), (32, 2, 4), (33, 1, 2), (64, 4, 5), (8, 6, 4)],
)
def test_any_net_and_any_history(hidden, n_blocks, width, length):
    rng = np.random.default_rng(length)
    front = np.arange(length) >= length - rng.integers(0, length + 1, (12, 1))
    anywhere = rng.random((12, length)) < rng.random((12, 1))
    present = np.vstack([front, anywhere, np.zeros((1, length), bool), np.ones((1, length), bool)])
    net, events = trained(hidden, n_blocks, width), histories(present, rng)
    wanted = by_module(net, *events)
    np.testing.assert_allclose(by_loops(net, *events), wanted, atol=1e-9, rtol=1e-12)


@pytest.mark.parametrize(("sources", "kinds"), [(1, 0), (1, 1), (8, 70)])
def test_any_number_of_sources_and_kinds(sources, kinds):
    net = trained(8, 2, 4, sources=sources, kinds=kinds)
    events = histories(np.ones((40, 20), bool), np.random.default_rng(0), sources, kinds)
    np.testing.assert_allclose(by_loops(net, *events), by_module(net, *events), atol=1e-9, rtol=1e-12)


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=5), st.integers(0, 2**32))
def test_padding_anywhere(present, seed):
    net, events = trained(8, 3, 4), histories(present, np.random.default_rng(seed))
    np.testing.assert_allclose(by_loops(net, *events), by_module(net, *events), atol=1e-9, rtol=1e-12)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3))
def test_values_beyond_all_experience(values):
    one = np.ones((1, 2), dtype=np.int64)
    events = one, one, np.array([[values, [0.0, 0.0, 0.0]]], dtype=np.float32)
    net = trained(8, 2, 4)
    np.testing.assert_allclose(by_loops(net, *events), by_module(net, *events), atol=1e-9, rtol=1e-9)


def test_a_row_has_the_same_bits_alone_and_in_company():
    rng = np.random.default_rng(1)
    net, events = trained(16, 2, 4), histories(rng.random((50, 30)) < 0.5, rng)
    together = by_loops(net, *events)
    alone = [by_loops(net, *(part[k : k + 1] for part in events))[0] for k in range(50)]
    np.testing.assert_array_equal(alone, together)
    longer = (np.pad(part, ((0, 0), (9, 0), (0, 0))[: part.ndim]) for part in events)
    np.testing.assert_array_equal(by_loops(net, *longer), together)


def test_seeds_are_averaged_and_padding_alone_is_a_constant():
    rng = np.random.default_rng(2)
    source, kind, values = histories(rng.random((80, 10)) < 0.4, rng)
    events = EventSequences(source, kind, values, tuple("abc"), tuple("vwxyz"))
    model = SequenceNetClassifier(hidden=8, max_epochs=2, n_seeds=3).fit(events, np.arange(80) % 2)
    wanted = np.mean([by_module(net, source, kind, values) for net in model.nets_], axis=0)
    np.testing.assert_allclose(model.log_odds(events), wanted, atol=1e-9, rtol=0)
    nothing = EventSequences(source[:2] * 0, kind[:2] * 0, values[:2] * 0, tuple("abc"), tuple("vwxyz"))
    assert len(set(model.log_odds(nothing))) == 1
    assert model.log_odds(events.take([])).shape == (0,)


@pytest.mark.parametrize(
    ("source", "kind", "value", "found"),
    [
        (3, 5, 1.0, 0),
        (0, 0, 0.0, 0),
        (4, 1, 1.0, NO_MEANING),
        (-1, 1, 1.0, NO_MEANING),
        (1, 6, 1.0, NO_MEANING),
        (1, -1, 1.0, NO_MEANING),
        (1, 1, np.nan, NOT_FINITE),
        (1, 1, -np.inf, NOT_FINITE),
    ],
)
def test_what_cannot_be_scored_is_told(source, kind, value, found):
    numbers = np.ones((2, 3), dtype=np.int64)
    sources, kinds, values = numbers.copy(), numbers.copy(), np.ones((2, 3, 3), dtype=np.float32)
    sources[1, 2], kinds[1, 2], values[1, 2, 1] = source, kind, value
    assert fault(sources, kinds, values, SOURCES, KINDS) == found


def test_numbers_outside_the_tables_are_refused():
    events = EventSequences(*histories(np.ones((60, 4), bool), np.random.default_rng(3)), tuple("abc"), tuple("vwxyz"))
    model = SequenceNetClassifier(hidden=8, max_epochs=1).fit(events, np.arange(60) % 2)
    events.kind[5, 1] = 6
    with pytest.raises(TrainingError, match="numbers outside their 3 sources and 5 kinds"):
        model.log_odds(events)
