"""Taking over from a roster: a start without a champion, a bundle that cannot be loaded for a while, a full disk."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_contracts.errors import BundleError, RegistryError
from serving.app import create_app
from serving.decision_log import DecisionLog
from serving.follow import Follower
from serving.roster import Named, Post, read_roster, write_roster
from serving.takeover import Takeover
from tests.serving.calls import PATH, Http
from training.bundle import Bundle, ScoreScale

POINT = "application"


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    return tmp_path / "roster.json"


@pytest.fixture
def first(champion: Any) -> Named:
    return Named("1", str(champion.bundle))


@pytest.fixture
def second(champion: Any, tmp_path: Path) -> Named:
    other = replace(Bundle.load(champion.bundle), scale=ScoreScale(500.0, 20.0, 40.0), identity="")
    other.save(tmp_path / "second")
    return Named("2", str(tmp_path / "second"))


def at_work(takeover: Takeover) -> str | None:
    scorer = takeover.lineup.casts[POINT].champion
    return None if scorer is None else scorer.bundle_name.version


def test_a_service_that_starts_while_nobody_is_champion_waits_for_one(
    roster: Path, first: Named, log: DecisionLog, request_body: dict
) -> None:
    write_roster(roster, [Post(POINT, None)])
    takeover = Takeover(roster)
    http = Http(create_app(takeover.lineup, log, lambda: datetime(2025, 7, 1)))
    for reply in (http.get("/readyz"), http.post(PATH, json=request_body)):
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "no_champion")
    write_roster(roster, [Post(POINT, first)])
    takeover.look()
    assert http.post(PATH, json=request_body).json()["bundle"]["version"] == "1"


def test_a_challenger_is_taken_on_at_the_start(roster: Path, first: Named, second: Named) -> None:
    write_roster(roster, [Post(POINT, first, second)])
    challenger = Takeover(roster).lineup.casts[POINT].challenger
    assert challenger is not None
    assert challenger.bundle_name.version == "2"


def test_a_bundle_that_cannot_be_loaded_is_tried_again_and_the_one_before_answers(
    roster: Path, first: Named, second: Named
) -> None:
    now = [0.0]
    write_roster(roster, [Post(POINT, first)])
    takeover = Takeover(roster, lambda: now[0])
    kept = Path(second.bundle).with_name("kept")
    shutil.move(second.bundle, kept)
    write_roster(roster, [Post(POINT, second, before=first)])
    takeover.look()
    assert (at_work(takeover), "Version 2" in takeover.lineup.faults[POINT]) == ("1", True)
    restarted = Takeover(roster, lambda: now[0])
    assert (at_work(restarted), "Version 2" in restarted.lineup.faults[POINT]) == ("1", True)
    shutil.move(kept, second.bundle)
    for one in (takeover, restarted):
        one.look()
        assert at_work(one) == "1"  # not at each look
    now[0] = 11.0
    for one in (takeover, restarted):
        one.look()
        assert (at_work(one), one.lineup.faults) == ("2", {})


def test_without_any_bundle_to_load_nothing_starts(roster: Path, first: Named, tmp_path: Path) -> None:
    write_roster(roster, [Post(POINT, Named("2", str(tmp_path / "nowhere")))])
    with pytest.raises(BundleError):
        Takeover(roster)


@pytest.mark.parametrize("small_disk", ["8m"], indirect=True)
def test_a_full_disk_at_promotion_leaves_the_champion_and_no_half_bundle(champion: Any, small_disk: Path) -> None:
    registry = SmallRegistry(champion.bundle)
    follower = Follower(registry, ["tiny"], small_disk)  # type: ignore[arg-type]
    before = read_roster(follower.roster)[0].champion
    registry.champion = "2"
    follower.look()
    post = read_roster(follower.roster)[0]
    assert post.champion == before
    assert "tiny/2 is not taken over" in post.fault
    assert not (small_disk / "tiny-2").exists()
    with suppress(OSError), (small_disk / "fill").open("wb", buffering=0) as file:
        while True:  # until the disk is full
            file.write(b"0" * 4096)
    registry.champion = "1"
    follower.look()  # the roster cannot be written, either
    assert read_roster(follower.roster) == [post]
    assert [file.name for file in small_disk.iterdir() if file.name.startswith(".roster")] == []


class SmallRegistry:
    """A registry of two versions, of which the second does not fit on the disk."""

    def __init__(self, bundle: Path) -> None:
        self.champion = "1"
        self._bundle = bundle

    def find(self, model: str) -> Any:
        chosen = SimpleNamespace(name="tiny", version=model.partition("/")[2] or self.champion)
        chosen.require_in_use = lambda: chosen
        return chosen

    def aliases(self, _: str) -> dict[str, str]:
        return {"champion": self.champion}

    def download(self, chosen: Any, place: Path) -> Path:
        try:
            shutil.copytree(self._bundle, place)
            if chosen.version == "2":
                (place / "large").write_bytes(b"0" * 2**24)
        except OSError as fault:
            raise RegistryError(f"The files of {chosen.version} cannot be had ({fault}).") from None
        return place
