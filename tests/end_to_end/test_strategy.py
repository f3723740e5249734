"""Strategies on the trained lender: tried on its past, searched, and told why two versions differ."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

import pipeline
import records
from data_contracts.folder import TableFolder
from pipeline.strategy import policy_on
from policy.change import MEASURES, steps
from policy.strategy import write_strategy
from policy.versions import Version, change
from tests.command_line import run
from training.calibration import PlattCalibrator
from workspace import Home

DAY = date(2026, 7, 1)


@pytest.fixture(scope="module")
def home(trained) -> Home:
    return Home(trained.home)


def test_the_past_is_decided_anew_out_of_sample(trained, tmp_path) -> None:
    other = tmp_path / "other.toml"
    base = policy_on(DAY, None, None, None).strategy
    other.write_text(write_strategy(base.changed("emergency_cash", approve_pd=0.01)), encoding="utf-8")
    words = ("--data", trained.tables, "--home", trained.home, "--model", "quick", "--on", "2026-07-01")
    ran = run("--json", "policy", "backtest", *words, "--against", other, "--out", tmp_path / "strategy.html")
    assert ran.code == 0, ran.err
    facts = ran.facts
    applied = TableFolder.open(trained.tables).read("applications", ["applied_at"])
    assert 0 < facts["applications"] < 0.4 * len(applied)
    assert facts["sample"].startswith("Applications since 2022-")
    assert "simulated lender's truth" in facts["outcomes"][0]
    swaps = facts["contrast"]["swap_set"]
    assert swaps["both"] + swaps["out"] + swaps["into"] + swaps["neither"] == facts["applications"]
    assert swaps["out"] == 0 < swaps["into"]
    assert set(facts["targets"]) >= {"small_approved", "large_referred", "bad_rate"}
    assert "<title>策略报告" in (tmp_path / "strategy.html").read_text(encoding="utf-8")


def test_without_a_truth_outcomes_are_observed_or_inferred_and_that_is_told(trained, home, tmp_path) -> None:
    found = tmp_path / "found.toml"
    facts = pipeline.optimise("quick", trained.tables, home, DAY, found, bad_rate_most=0.2, observed=True)
    assert "are inferred from the model" in facts["outcomes"][-1]
    assert facts["kept"]
    assert facts["chosen_on_one_half"]["bad_rate"]["value"] <= 0.2
    assert tomllib.loads(found.read_text(encoding="utf-8"))["name"] == "base_optimised"


def test_a_search_in_vain_ends_with_how_near_it_came(trained, tmp_path) -> None:
    words = ("--data", trained.tables, "--home", trained.home, "--model", "quick", "--out", tmp_path / "s.toml")
    ran = run("policy", "optimise", *words, "--max-bad-rate", 0, "--min-approval", "emergency_cash=0.5")
    assert ran.code == 1
    assert "No strategy keeps the constraints" in ran.err
    assert not (tmp_path / "s.toml").exists()


def test_every_component_has_its_share_of_a_change(trained, home, tmp_path) -> None:
    """Other records, another calibrator, cut-offs and limits at once: the shares add up, application by application."""
    records.simulate(tmp_path / "tables", customers=1_000, months=24, seed=7, scenario="unit_break")
    bundle, _ = home.registry().load("quick")
    model = copy.copy(bundle.model)
    model.calibrator_ = PlattCalibrator(1.1, 0.4)
    policy = policy_on(DAY, None, None, None)
    strategy = policy.strategy.changed("emergency_cash", approve_pd=0.08, expected_loss_most=80)
    before = Version(TableFolder.open(trained.tables), bundle, policy)
    after = Version(
        TableFolder.open(tmp_path / "tables"),
        replace(bundle, model=model, identity="other"),
        policy.with_strategy(strategy),
    )
    found = change(before, after)
    assert found.components == ("data", "model", "calibrator", "cut_offs", "limit")
    moved = (found.after - found.before).to_numpy()
    assert sum(found.share(name) for name in found.components).to_numpy() == pytest.approx(moved, abs=1e-6)
    exact = [MEASURES.index(name) for name in ("approved", "referred", "declined", "amount")]
    assert (sum(found.sums.values())[:, exact] == found.orders * moved[:, exact]).all()
    assert np.abs(found.share("calibrator")["pd"]).max() > 0.001
    assert np.abs(found.share("data")["pd"]).max() > 0
    assert (found.sums["model"][:, exact] == 0).all()  # its trees and nets are the same
    one = found.after.index[int(np.argmax(np.abs(moved[:, 0])))]
    told = sum(step.get("approved", 0.0) for step in steps(found, one))
    assert told == pytest.approx((found.after - found.before)["approved"][one])
