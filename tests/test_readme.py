"""What the README shows must be true of the code."""

from __future__ import annotations

import re
from pathlib import Path

from data_contracts.messages import parse_request
from tests.command_line import run

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_request_shown_is_a_request() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", README, flags=re.DOTALL)
    request = parse_request(shown)
    assert request.application_record()["amount_requested"] == 300_000
    assert request.as_of.isoformat() == "2024-05-01T01:30:00"
    assert "tradelines" in request.missing_sources


def test_every_command_shown_exists_with_its_options() -> None:
    shown = re.findall(r"lendwell ([a-z][a-z-]+)((?: [^\n`#|]*)?)", README)
    assert {name for name, _ in shown} >= {"simulate", "import", "train", "serve", "score-batch", "monitor", "demo"}
    groups = {"policy", "log", "keys", "outcomes", "review"}
    for name, rest in shown:
        inner = re.match(r" ([a-z][a-z-]+)", rest) if name in groups else None
        told = run(name, *(inner.groups() if inner else ()), "--help").out
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in told, (name, option)


def test_every_room_and_file_shown_is_there() -> None:
    for name in re.findall(r"\| `([a-z_]+)/`", README) + re.findall(r"`([a-z_]+\.py)`", README):
        assert (Path(__file__).parent.parent / name).exists(), name
