"""Who is champion after which acts, worked out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from training.standing import Act, Standing, standing


def acts(told: str) -> list[Act]:
    """`registered 1, appointed 1` as acts on one model."""
    pairs = [one.split() for one in told.split(", ")] if told else []
    return [Act("cash", version, action, f"who did {at}", datetime(2026, 1, 1), "") for at, (action, version) in
            enumerate(pairs)]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "champion", "earlier", "retired"),
    [
        ("", None, (), ()),
        ("registered 1, appointed 1, registered 2, judged 2", "1", (), ()),
        ("appointed 1, promoted 2, promoted 3", "3", ("1", "2"), ()),
        ("appointed 1, promoted 1", "1", (), ()),
        ("appointed 1, promoted 2, promoted 3, rolled_back 2", "2", ("1",), ()),
        ("appointed 1, promoted 2, promoted 3, rolled_back 2, rolled_back 1", "1", (), ()),
        ("appointed 1, promoted 2, rolled_back 1, promoted 2", "2", ("1",), ()),
        ("appointed 1, promoted 2, promoted 3, retired 2", "3", ("1",), ("2",)),
        ("appointed 1, promoted 2, retired 2", None, ("1",), ("2",)),
        ("appointed 1, promoted 2, retired 2, rolled_back 1", "1", (), ("2",)),
        ("appointed 1, retired 1", None, (), ("1",)),
        ("appointed 1, promoted 2, promoted 1", "1", ("2",), ()),
    ],
)
def test_the_champion_and_those_before(told, champion, earlier, retired) -> None:
    found = standing(acts(told))
    assert (found.champion, found.earlier, tuple(found.retired)) == (champion, earlier, retired)


def test_nothing_was_done() -> None:
    assert standing([]) == Standing()


def test_authors_are_who_registered() -> None:
    assert standing(acts("registered 1, registered 2")).authors == {"1": "who did 0", "2": "who did 1"}


@pytest.mark.parametrize(
    ("told", "verdict_by"),
    [
        ("appointed 1, judged 2", "who did 1"),
        ("appointed 1, judged 2, judged 2", "who did 2"),
        ("judged 2, appointed 1", None),
        ("appointed 1, judged 2, promoted 3", None),
        ("appointed 1, judged 2, promoted 2", None),
        ("appointed 1, promoted 3, judged 2, rolled_back 1", None),
        ("appointed 1, judged 2, registered 3, judged 3", "who did 1"),
    ],
)
def test_a_verdict_counts_until_the_champion_changes(told, verdict_by) -> None:
    found = standing(acts(told)).verdicts.get("2")
    assert (found and found.by) == verdict_by


def test_moments_are_told_in_utc() -> None:
    local = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    moments = {Act("cash", "1", "retired", "x", at, "").moment for at in (local, datetime(2026, 1, 1))}
    assert moments == {"2026-01-01T00:00:00.000Z"}
