from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from evaluation.proxies import proxies


def applicants(n=3000, seed=0):
    """Salary tells gender, years in employment tell age, the missing phone tells both a little; twenty tell nothing."""
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(rng.normal(size=(n, 20)), columns=[f"f{k:02d}" for k in range(20)])
    gender = rng.choice(["female", "male"], n)
    age = rng.uniform(20, 60, n)
    features["salary"] = rng.normal(size=n) - (gender == "female")
    features["employed_years"] = age / 10 + rng.normal(size=n)
    features["phone"] = np.where((gender == "male") & (rng.random(n) < 0.6), np.nan, 1.0)
    return features, pd.DataFrame({"gender": gender, "age_years": age, "marital_status": rng.choice(list("abc"), n)})


@pytest.fixture(scope="module")
def found():
    return {(one.attribute, one.level): one for one in proxies(*applicants())}


def test_what_tells_an_attribute_is_surfaced(found):
    gender, age = found["gender", "female"], found["age_years", None]
    assert (gender.kind, age.kind) == ("auc", "r2")
    assert gender.told.low > 0.8
    assert [one.feature for one in gender.features[:2]] in (["salary", "phone"], ["phone", "salary"])
    assert age.features[0].feature == "employed_years"
    assert age.features[0].gain > 0.8
    # employed years have a signal of variance 1.33 in 2.33
    assert age.told.low < 0.57 < age.told.high + 0.03
    assert len(gender.features) <= 10
    assert sum(one.gain for one in gender.features) <= 1


def test_what_nothing_tells_is_not_told(found):
    for level in "abc":
        one = found["marital_status", level]
        assert one.told.low < 0.5 < one.told.high + 0.02
    assert len(found) == 5  # of two genders one, of three states each


def test_features_alone_are_measured_by_their_own(found):
    features, attributes = applicants()
    salary = next(one for one in found["gender", "female"].features if one.feature == "salary")
    area = roc_auc_score(attributes["gender"] == "female", -features["salary"].astype(np.float32))
    assert salary.alone.value == pytest.approx(area, abs=1e-6)
    assert salary.alone.low < area < salary.alone.high
    employed = found["age_years", None].features[0].alone
    r = spearmanr(features["employed_years"], attributes["age_years"]).statistic
    assert employed.value == pytest.approx(r**2, abs=1e-6)
    assert employed.low < r**2 < employed.high


def test_missing_values_tell_as_well(found):
    phone = next(one for one in found["gender", "female"].features if one.feature == "phone")
    assert phone.alone.value == pytest.approx(0.8, abs=0.03)  # 0.6 of the men lack it


def test_rows_without_the_attribute_are_left_out():
    features, attributes = applicants(1200)
    attributes.loc[:599, "gender"] = None
    features.loc[:599, "f00"] = 100.0  # must not be learnt
    (one,) = proxies(features, attributes[["gender"]])
    assert one.told.n == 600
    assert "f00" not in [named.feature for named in one.features[:3]]


def test_same_seed_same_answer():
    people = applicants(600)
    assert proxies(*people, seed=2) == proxies(*people, seed=2)
    assert proxies(*people, seed=2) != proxies(*people, seed=3)


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ([None] * 150 + ["a"] * 50, "50 rows with the attribute, 100 are needed"),
        (["a"] * 199 + ["b"], "every row, or nearly, is of one level"),
        ([f"{k}" for k in range(200)], "every row, or nearly, is of one level"),
        ([30.0] * 200, "every value is equal"),
    ],
)
def test_what_cannot_be_told_says_so(attribute, reason):
    features = pd.DataFrame({"x": np.arange(200.0)})
    (one,) = proxies(features, pd.DataFrame({"attribute": attribute}))
    assert (one.told.value, one.told.note, one.features) == (None, reason, ())
    assert one.told.note_zh


def test_rows_must_fit():
    with pytest.raises(ValueError, match="1 rows of features but 2 of attributes"):
        proxies(pd.DataFrame({"x": [1.0]}), pd.DataFrame({"gender": ["a", "b"]}))
