from __future__ import annotations

import re

import pytest

from data_contracts.authorisation import require_authorised, require_decision_point
from data_contracts.errors import DeclarationError
from data_contracts.tables import TABLES


@pytest.mark.parametrize("decision_point", ["application", "behaviour", "early_warning", "transaction", "collection"])
def test_a_table_passes_exactly_where_its_use_lists_the_decision_point(decision_point):
    for name, table in TABLES.items():
        if decision_point in table.use.decision_points:
            require_authorised([name], decision_point)
        else:
            with pytest.raises(DeclarationError, match=rf"used at {decision_point}:\n  {name} \("):
                require_authorised([name], decision_point)


def test_every_refused_table_is_named_once_with_what_it_may_decide():
    with pytest.raises(DeclarationError) as refused:
        require_authorised(iter(["transactions", "loans", "inquiries", "transactions"]), "collection")
    lines = str(refused.value).splitlines()
    assert lines[1:3] == [
        "  inquiries (bureau): only at application, behaviour, early_warning",
        "  transactions (consumption): only at application, behaviour, early_warning, transaction",
    ]
    assert "loans" not in str(refused.value).replace("of a loan", "")
    assert "data_contracts/uses.py" in lines[-1]


def test_outcomes_decide_nothing():
    with pytest.raises(DeclarationError, match="at no decision point"):
        require_authorised(["outcomes"], "application")


def test_what_does_not_exist_is_told_with_what_does():
    with pytest.raises(DeclarationError, match="no table lones; there are applications, tradelines"):
        require_authorised(["loans", "lones"], "application")
    with pytest.raises(DeclarationError, match=re.escape("no decision point 'origination'; there are application, b")):
        require_authorised(["loans"], "origination")
    with pytest.raises(DeclarationError, match="no decision point"):
        require_decision_point("")
