from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.fairness import age_bands, fairness


def applicants(rates, n=1000):
    """Groups of n good and n bad loans each, of which a share of either is approved at 0.5."""
    y, score, group = [], [], []
    for name, (of_good, of_bad) in rates.items():
        for kind, share in ((0, of_good), (1, of_bad)):
            y += [kind] * n
            score += [0.2] * round(share * n) + [0.8] * (n - round(share * n))
            group += [name] * n
    return y, score, pd.DataFrame({"gender": group})


def one(y, score, attributes, **options):
    (found,) = fairness(y, score, attributes, cutoff=0.5, **options)
    return found


def test_figures_by_hand():
    found = one(*applicants({"female": (0.9, 0.5), "male": (0.8, 0.2), "other": (0.6, 0.2)}))
    female, male, other = found.groups
    assert (female.n, female.good, female.bad) == (2000, 1000, 1000)
    assert [group.approved.value for group in found.groups] == pytest.approx([0.7, 0.5, 0.4])
    assert (male.good_approved.value, male.bad_approved.value) == pytest.approx((0.8, 0.2))
    assert male.impact.value == pytest.approx(5 / 7)
    assert (female.impact.value, female.impact.note) == (1, "the group approved most")
    assert found.adverse_impact_ratio.value == pytest.approx(4 / 7)
    assert found.equal_opportunity_difference.value == pytest.approx(0.3)
    assert found.false_positive_difference.value == pytest.approx(0.3)
    assert other.impact.value == found.adverse_impact_ratio.value


def test_interval_is_that_of_the_delta_method():
    """Two groups of known shares: the logarithm of the ratio has variance (1 - p)/(n p) of each."""
    found = one(*applicants({"female": (0.5, 0.5), "male": (0.4, 0.4)}, n=500), resamples=4000)
    spread = np.sqrt(0.5 / (1000 * 0.5) + 0.6 / (1000 * 0.4))
    bounds = 0.8 * np.exp(np.array([-1.96, 1.96]) * spread)
    assert (found.adverse_impact_ratio.low, found.adverse_impact_ratio.high) == pytest.approx(tuple(bounds), abs=0.012)
    half = 1.96 * np.sqrt(0.25 / 500 + 0.24 / 500)
    opportunity = found.equal_opportunity_difference
    assert (opportunity.low, opportunity.high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.008)


def test_equal_groups_are_at_parity_within_the_interval():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(40):
        group = pd.DataFrame({"gender": rng.choice(["female", "male"], 1000)})
        found = one(rng.integers(0, 2, 1000), rng.random(1000), group, resamples=300, seed=seed)
        covered += found.adverse_impact_ratio.high >= 0.999
    assert covered >= 33


def test_small_groups_are_told_and_not_compared():
    y, score, attributes = applicants({"female": (0.8, 0.4), "male": (0.8, 0.4)}, n=100)
    few = pd.DataFrame({"gender": ["other"] * 20 + [None] * 3})
    found = one([*y, *[0] * 23], [*score, *[0.9] * 23], pd.concat([attributes, few]))
    assert found.too_small == ("other",)
    assert found.unknown == 3
    assert found.groups[-1].approved.value == 0
    assert found.groups[-1].impact.note == "too small a group: 20 rows"
    assert found.groups[-1].impact.note_zh == "群体过小：仅20行"
    assert found.adverse_impact_ratio.value == 1


def test_a_group_without_bad_loans_is_compared_by_its_good_ones():
    y, score, attributes = applicants({"female": (0.8, 0.4), "male": (0.6, 0.4)}, n=100)
    keep = ~((np.array(y) == 1) & (attributes["gender"] == "male").to_numpy())
    found = one(np.array(y)[keep], np.array(score)[keep], attributes[keep])
    assert found.equal_opportunity_difference.value == pytest.approx(0.2)
    assert found.false_positive_difference.note == "fewer than two groups are large enough"
    assert found.groups[1].bad_approved.note == "no rows"


def test_what_cannot_be_compared_says_so():
    y, _, attributes = applicants({"female": (0.8, 0.4), "male": (0.6, 0.4)}, n=100)
    found = one(y, [0.9] * 400, attributes)
    assert found.adverse_impact_ratio.note == "nobody is approved"
    assert found.groups[0].impact.note_zh == "无人获批"
    assert found.equal_opportunity_difference.value == 0
    nobody = one([0, 1], [0.1, 0.2], pd.DataFrame({"gender": [None, None]}))
    assert (nobody.groups, nobody.unknown) == ((), 2)
    assert nobody.adverse_impact_ratio.note == "fewer than two groups are large enough"
    with pytest.raises(ValueError, match="2 outcomes but 1 rows of attributes"):
        one([0, 1], [0.1, 0.2], pd.DataFrame({"gender": ["female"]}))


def test_age_bands_keep_their_order():
    rng = np.random.default_rng(1)
    ages = pd.Series(rng.uniform(18, 80, 2000))
    found = one(rng.integers(0, 2, 2000), rng.random(2000), pd.DataFrame({"age": age_bands(ages)}))
    assert [group.name for group in found.groups] == ["<25", "25-34", "35-44", "45-54", "55-64", "65+"]
    assert found.groups[0].n == (ages < 25).sum()


def test_same_seed_same_figures():
    people = applicants({"female": (0.8, 0.4), "male": (0.6, 0.4)}, n=100)
    assert one(*people, seed=3) == one(*people, seed=3)
    assert one(*people, seed=3) != one(*people, seed=4)
