"""Rows that a notebook may give by mistake: each estimator does as it says, or names the fault and the way out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from training.boosted import BoostedClassifier
from training.estimator import FitError
from training.hybrid import HybridClassifier
from training.parameters import BOUNDS, value_faults
from training.tabular_net import TabularNetClassifier

TREES = BoostedClassifier(n_estimators=10, min_child_weight=1.0, n_seeds=1, early_stopping_rounds=0)
NET = TabularNetClassifier(k=2, d_block=8, n_bins=4, max_epochs=2)
ESTIMATORS = (TREES, NET, HybridClassifier(boosted=TREES, tabular_net=NET, n_folds=2))
every_estimator = pytest.mark.parametrize("model", ESTIMATORS, ids=lambda model: type(model).__name__)


@pytest.fixture
def loans() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["utilisation", "dpd", "age"])
    return X, (X["utilisation"] + rng.normal(size=200) > 0).astype(int).to_numpy()


@every_estimator
def test_one_class_only(model, loans):
    X, y = loans
    with pytest.raises(
        FitError, match=r"all 200 rows are of one class \(\[1\]\); a model needs good and bad loans: widen"
    ):
        clone(model).fit(X, np.ones_like(y))


@every_estimator
@pytest.mark.parametrize("value", [4.0, np.nan], ids=["constant", "missing"])
def test_a_column_that_tells_nothing_changes_no_answer(model, loans, value):
    X, y = loans
    fitted = clone(model).fit(X.assign(dpd=value), y)
    answers = fitted.log_odds(X.assign(dpd=value))
    assert np.ptp(answers) > 0
    np.testing.assert_array_equal(fitted.log_odds(X.assign(dpd=7.0)), answers)


@every_estimator
def test_ten_rows(model, loans):
    X, _ = loans
    assert np.isfinite(clone(model).fit(X[:10], [0, 1] * 5).log_odds(X)).all()


@every_estimator
@pytest.mark.parametrize("number", [np.inf, -np.inf])
def test_infinite_values_are_named_by_their_column(model, loans, number):
    X, y = loans
    told = r"infinity in dpd \(200 rows, 1 columns\); replace it by a number or by NaN = missing"
    with pytest.raises(FitError, match=told):
        clone(model).fit(X.assign(dpd=number), y)
    fitted = clone(model).fit(X, y)
    for given in (X.assign(dpd=number), X.assign(dpd=number).to_numpy()):
        with pytest.raises(FitError, match=told):
            fitted.predict_proba(given)


@every_estimator
def test_a_number_beyond_single_precision_is_the_largest_one(model, loans):
    X, y = loans
    fitted = clone(model).fit(X.assign(dpd=X["dpd"] * 1e300), y)
    huge, largest = (fitted.log_odds(X.assign(dpd=value)) for value in (1e300, np.finfo(np.float32).max))
    assert np.isfinite(huge).all()
    np.testing.assert_array_equal(huge, largest)


@every_estimator
@pytest.mark.parametrize("as_category", [False, True])
def test_a_category_as_text_is_named_and_how_to_give_it(model, loans, as_category):
    X, y = loans
    text = X.assign(product=np.where(np.arange(200) == 7, "gold_card", "cash"))
    text = text.astype({"product": "category"}) if as_category else text
    told = r"could not convert string to float: '\w+'; X holds text in product \('cash'\). Features are numbers: give"
    with pytest.raises(FitError, match=told):
        clone(model).fit(text, y)
    with pytest.raises(FitError, match=told):
        clone(model).fit(X.assign(product=1.0), y).predict(text)


@every_estimator
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda X: X[["dpd", "utilisation", "age"]], r"same order .*Give .*Column 0 is 'dpd' and was 'utilisation'\."),
        (lambda X: X.drop(columns="age"), r"yet now missing:\n- age\nGive the columns of the fit in their order: X\["),
        (lambda X: X.rename(columns={"age": "years"}), r"unseen at fit time:\n- years\n.*\n- age\nGive the columns"),
        (lambda X: X[:0], r"Found array with 0 sample\(s\)"),
        (lambda X: X.to_numpy()[:, :2], "X has 2 features, but .* is expecting 3 features"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # scikit-learn tells it of the array first
def test_other_columns_than_those_of_the_fit(model, loans, change, told):
    X, y = loans
    with pytest.raises(FitError, match=rf"(?s){told}"):
        clone(model).fit(X, y).predict_proba(change(X))


@every_estimator
def test_groups_that_are_not_known(model, loans):
    X, y = loans
    model = clone(model).set_params(early_stopping_rounds=5) if model is TREES else clone(model)
    with pytest.raises(FitError, match="groups is missing in 50 rows; give one per row"):
        model.fit(X, y, groups=np.where(np.arange(200) % 4, "A1", None))


@every_estimator
def test_every_parameter_that_makes_no_sense_is_listed(model, loans):
    X, y = loans
    wrong = {"random_state": -1, **({"n_seeds": 0} if hasattr(model, "n_seeds") else {"n_folds": 1})}
    with pytest.raises(FitError) as told:
        clone(model).set_params(**wrong).fit(X, y)
    assert "random_state: must be a whole number of at least 0 and at most 4.29497e+09, not -1" in str(told.value)
    assert "whole number of at least 1, not 0" in str(told.value) or "of at least 2, not 1" in str(told.value)


def test_the_hybrid_asks_its_parts_before_it_trains_any(loans):
    X, y = loans
    model = HybridClassifier(boosted=clone(TREES), tabular_net=clone(NET).set_params(dropout=1.0))
    with pytest.raises(FitError, match="TabularNetClassifier: dropout: must be a number of at least 0 and below 1"):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("n_seeds", (1, np.int64(3)), (0, 1.5, True, "2", None)),
        ("subsample", (1e-3, 1), (0.0, 1.1, float("nan"))),
        ("inner_share", (0.5,), (0, 1)),
        ("learning_rate", (5.0,), (0, -0.1)),
        ("reg_lambda", (0, np.float64(2.0)), (-1e-9,)),
    ],
)
def test_what_a_parameter_may_be(name, good, bad):
    assert [value_faults({name: value}) for value in good] == [[]] * len(good)
    assert all(value_faults({name: value})[0].startswith(f"{name}: must be {BOUNDS[name]}, not ") for value in bad)


def test_every_numeric_parameter_of_a_part_has_its_bounds():
    from training.sequence_net import SequenceNetClassifier

    named = {name for model in (TREES, NET, SequenceNetClassifier()) for name in model.get_params()}
    assert named - set(BOUNDS) == {"monotone", "n_jobs"}
