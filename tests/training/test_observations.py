"""Looks at cards: taken by what was known then, judged by what was known later, and never by the same statement."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import SourceError, TrainingError
from data_contracts.folder import TableFolder, write_tables
from data_contracts.judge import require_valid
from features import batch, sequences
from features.audit import audit
from features.sets import feature_set
from tests.command_line import refused, run
from training.experiment import Target
from training.observations import observe
from training.targets import label

BEHAVIOUR = feature_set("behaviour_v2")
QUARTERLY = Target(kind="card_dpd", every_months=3, least_months=2, performance_months=3)
LATE = {30: "late", 60: "late", 0: "paid_in_full", 1: "carried", None: "unused"}


def month_end(number: int) -> datetime:
    """End of the month in China, 1 being January 2024."""
    return datetime(2024 + number // 12, number % 12 + 1, 1) - timedelta(days=1, hours=8)


def months(customer: str, dpd: list[int | None], *, first: int = 1, card: str = "") -> list[dict[str, Any]]:
    """A card's statements, one a month from `first` on, each known at once."""
    return [
        {
            "card_id": card or customer,
            "customer_id": customer,
            "occurred_at": month_end(first + at),
            "known_at": month_end(first + at),
            "dpd": days,
            "status": LATE[days],
        }
        for at, days in enumerate(dpd)
    ]


@pytest.fixture
def look(tmp_path: Path):
    def at(rows: list[dict[str, Any]], target: Target = QUARTERLY, **other: pd.DataFrame) -> TableFolder:
        frame = pd.DataFrame(rows).astype({"dpd": "Int64"})
        folder = write_tables(tmp_path / "tables", {"card_months": frame, **other}, lender="cards", dates="calendar")
        return observe(folder, target, tmp_path / "observed")

    return at


def looks(folder: TableFolder) -> list[str]:
    return sorted(folder.read("applications")["application_id"])


def outcomes(folder: TableFolder) -> list[tuple[str, int, int]]:
    rows = folder.read("outcomes")[["application_id", "months_on_book", "dpd_max"]]
    return [tuple(row) for row in rows.itertuples(index=False)]


def test_each_quarter_of_a_card_with_debt_and_history_is_a_look(look):
    folder = look(months("c", [1, 1, 1, 1, 1, 30, 60, 1, 1, 1, 1]))
    assert looks(folder) == ["c@2024-03-31", "c@2024-09-30"]  # in June the card was late already
    applications = folder.read("applications")
    assert applications["applied_at"].tolist() == [month_end(3), month_end(9)]
    assert set(applications["product"]) == {"revolving"}
    assert outcomes(folder) == [
        ("c@2024-03-31", 1, 1), ("c@2024-03-31", 2, 1), ("c@2024-03-31", 3, 30),
        ("c@2024-09-30", 1, 1), ("c@2024-09-30", 2, 1),
    ]  # fmt: skip


def test_the_target_is_what_the_following_months_showed_and_everything_left_out_is_counted(look):
    rows = [
        *months("bad", [1, 1, 1, 1, 1, 30]),
        *months("good", [1, 1, 1, 1, 0, None]),
        *months("immature", [1, 1, 1, 1]),
        *months("just now", [1, 1, 1]),
        *months("late", [1, 1, 30, 1, 1, 1]),
        *months("no debt", [1, 1, 0, 60, 60, 60])[:5],
        *months("young", [1, 30], first=3),
        *(row for row in months("gap", [1, 1, 1, 1, 1, 60]) if row["occurred_at"] != month_end(5)),
    ]
    labels = label(look(rows), QUARTERLY)
    assert labels.defaulted.to_dict() == {"bad@2024-03-31": 1, "good@2024-03-31": 0}
    assert labels.known_at.tolist() == [month_end(6), month_end(6)]
    # in June: bad is late, good owes nothing, late has a look but no month after, gap is late
    assert [(left.en, left.count) for left in labels.left_out] == [
        ("not looked at: less than 2 months of history", 1),
        ("not looked at: 30 or more days past due already", 3),
        ("not looked at: without debt", 2),
        ("without an outcome: no statement of the month after", 2),
        ("immature: not all of the 3 months after are known", 2),
    ]
    assert all(left.zh for left in labels.left_out)


def test_cards_without_debt_may_be_looked_at_too(look):
    target = QUARTERLY.model_copy(update={"with_debt": False})
    folder = look([*months("c", [0, None, None, 1, 1, 1]), *months("d", [0, 0, 0, 1, 1, 30])], target)
    assert looks(folder) == ["c@2024-03-31", "c@2024-06-30", "d@2024-03-31"]


def test_a_customers_cards_are_looked_at_together(look):
    rows = months("c", [1, 1, 1, 1, 1, 1], card="k1") + months("c", [None, None, None, 60, 0, 0], card="k2")
    for row in rows[6:]:
        row["known_at"] += timedelta(days=2)
    folder = look(rows)
    assert folder.read("applications")["applied_at"].tolist()[0] == month_end(3) + timedelta(days=2)
    assert outcomes(folder)[0] == ("c@2024-04-02", 1, 60)


def test_no_look_is_taken_where_a_later_month_was_known_already(look):
    rows = [*months("c", [1, 1, 1, 1, 1, 1]), *months("d", [1, 1, 1, 1, 1, 1])]
    rows[2]["known_at"] = month_end(4)  # March of c came with April
    folder = look(rows)
    assert looks(folder) == ["c@2024-06-30", "d@2024-03-31", "d@2024-06-30"]
    (left,) = folder.batches[0].facts["observed"]["left_out"]
    assert (left["en"], left["count"]) == ("not looked at: a later month's statement was known by then", 1)


def test_a_correction_counts_for_the_look_from_when_it_was_known_and_for_the_outcome_always(look):
    rows = [*months("c", [1, 1, 1, 1, 1, 1]), *months("d", [1, 1, 1, 1, 1, 1])]
    rows.append(rows[2] | {"dpd": 60, "status": "late", "known_at": month_end(3) + timedelta(days=9)})
    rows.append(rows[10] | {"dpd": 60, "status": "late", "known_at": month_end(8)})  # May of d
    folder = look(rows)
    assert looks(folder) == ["c@2024-03-31", "c@2024-06-30", "d@2024-03-31", "d@2024-06-30"]
    labels = label(folder, QUARTERLY)
    assert labels.defaulted.to_dict() == {"c@2024-03-31": 0, "d@2024-03-31": 1}
    assert labels.known_at.to_dict()["d@2024-03-31"] == month_end(8)


@pytest.fixture
def random_cards() -> list[dict[str, Any]]:
    """Forty cards of two years whose statements come up to 80 days late and are corrected at times."""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(40):
        course = rng.choice([None, 0, 1, 1, 1, 30, 60], size=24).tolist()
        for row in months(f"c{number:02d}", [None if d is None else int(d) for d in course]):
            row["known_at"] += timedelta(days=int(rng.choice([0, 0, 0, 5, 40, 80])))
            rows.append(row)
            if rng.random() < 0.1:
                late = row["known_at"] + timedelta(days=int(rng.integers(1, 200)))
                rows.append(row | {"dpd": 60, "status": "late", "known_at": late})
    return rows


def test_features_and_tokens_of_a_look_use_only_what_was_known_then(look, random_cards, tmp_path):
    """Each look alone, in a folder without any later record, gives the same numbers as all looks together."""
    folder = look(random_cards)
    matrix, tokens = batch.compute(folder, BEHAVIOUR), sequences.from_folder(folder, 30)
    applications, cards = folder.read("applications").sort_values("application_id"), folder.read("card_months")
    assert len(applications) > 30
    for at in range(0, len(applications), 15):
        one = applications.iloc[[at]]
        known = cards[(cards["known_at"] <= one["applied_at"].iloc[0])]
        alone = write_tables(
            tmp_path / f"alone{at}", {"applications": one, "card_months": known}, lender="cards", dates="calendar"
        )
        np.testing.assert_allclose(batch.compute(alone, BEHAVIOUR).to_numpy(), matrix.to_numpy()[[at]], rtol=1e-9)
        assert sequences.from_folder(alone, 30).values.tobytes() == tokens.take([at]).values.tobytes()
    found = audit(folder, BEHAVIOUR, sample=50, seed=0).to_dict()
    assert found["records_removed"] > 0
    assert not found["differences"]


def test_no_statement_of_the_performance_window_was_known_at_the_look(look, random_cards):
    folder = look(random_cards)
    cards = folder.read("card_months")
    by_look = folder.read("outcomes").groupby("application_id")["occurred_at"].min()
    applications = folder.read("applications").set_index("application_id")
    for name, first in by_look.items():
        customer, as_of = applications.loc[name, ["customer_id", "applied_at"]]
        after = cards[(cards["customer_id"] == customer) & (cards["occurred_at"] >= first)]
        assert (after["known_at"] > as_of).all()
    by_hand = folder.read("outcomes").set_index(["application_id", "months_on_book"])["dpd_max"]
    newest = cards.sort_values("known_at").drop_duplicates(["card_id", "occurred_at"], keep="last")
    for (name, month), worst in by_hand.items():
        window = newest[newest["customer_id"] == applications.loc[name, "customer_id"]].sort_values("occurred_at")
        window = window[window["occurred_at"] >= by_look[name]].head(month)
        assert worst == window["dpd"].fillna(0).max()


def test_the_folder_keeps_the_contracts_the_other_tables_and_where_it_comes_from(look, random_cards, tmp_path):
    invoices = pd.DataFrame(columns=["invoice_id"])
    old = pd.DataFrame(
        {"application_id": ["x"], "customer_id": ["c00"], "applied_at": [month_end(1)], "product": ["cash"]}
    )
    folder = look(random_cards, invoices=invoices, applications=old)
    require_valid(folder)
    source = TableFolder.open(tmp_path / "tables")
    assert "x" not in looks(folder)
    assert set(folder.tables) == {"applications", "outcomes", "card_months", "invoices"}
    assert folder.read_arrow("card_months").equals(source.read_arrow("card_months"))
    observed = folder.batches[0].facts["observed"]
    assert observed["of"] == source.identity
    assert observed["target"] == {
        "every_months": 3, "least_months": 2, "performance_months": 3, "dpd": 30, "with_debt": True,
    }  # fmt: skip
    assert observe(source, QUARTERLY, tmp_path / "again").identity == folder.identity


def test_looks_of_another_experiment_are_refused(look):
    folder = look([*months("bad", [1, 1, 1, 1, 1, 30]), *months("good", [1, 1, 1, 1, 1, 1])])
    other = QUARTERLY.model_copy(update={"performance_months": 6, "dpd": 60})
    with pytest.raises(TrainingError, match=r"observed with performance_months = 3, not 6; dpd = 30, not 60\. Run"):
        label(folder, other)


def test_looks_are_asked_for_where_there_are_none(tmp_path):
    rows = pd.DataFrame({"application_id": ["a"], "customer_id": ["c"], "occurred_at": month_end(1)})
    rows["known_at"] = rows["occurred_at"]
    folder = write_tables(tmp_path / "tables", {"outcomes": rows}, lender="x", dates="calendar")
    with pytest.raises(TrainingError, match=r"holds no looks at cards.*lendwell observe"):
        label(folder, QUARTERLY)


def test_what_cannot_be_looked_at(look, tmp_path):
    with pytest.raises(TrainingError, match="Only a target of kind \"card_dpd\" looks at cards; this one is 'label'"):
        look(months("c", [1, 1, 1]), Target(kind="label"))
    with pytest.raises(SourceError, match=r"No look at the cards .*\(1 not looked at: without debt\)"):
        look(months("c", [0, 0, 0]))
    with pytest.raises(SourceError, match="no month ends a period"):
        look(months("c", [1, 1]))
    with pytest.raises(SourceError, match="is the folder that is looked at"):
        observe(TableFolder.open(tmp_path / "tables"), QUARTERLY, tmp_path / "tables")
    only = write_tables(tmp_path / "none", {"payments": pd.DataFrame()}, lender="x", dates="calendar")
    with pytest.raises(SourceError, match="has no card_months to look at; it has payments"):
        observe(only, QUARTERLY, tmp_path / "out")


def test_the_command_makes_the_folder_that_an_experiment_trains_on(tmp_path):
    rows = [row for number in range(30) for row in months(f"c{number}", [1] * 8 + [30 if number % 3 else 1] * 8)]
    frame = pd.DataFrame(rows).astype({"dpd": "Int64"})
    write_tables(tmp_path / "tables", {"card_months": frame}, lender="cards", dates="relative")
    train = ("train", "card-monthly-status", "--data", tmp_path / "tables", "--home", tmp_path / "home")
    assert "`lendwell observe` makes" in refused(*train, code=2)
    made = run(
        "--json", "observe", "--experiment", "card-monthly-status", "--data", tmp_path / "tables",
        "--out", tmp_path / "observed",
    )  # fmt: skip
    assert made.code == 0, made
    assert made.facts["looks"] == 60  # in June all, later those who are not late
    assert looks(TableFolder.open(tmp_path / "observed"))[0] == "c0@2024-06-30"
