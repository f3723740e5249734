from __future__ import annotations

import numpy as np
import pytest

from reporting import page


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(0, 4, "0.0000"), (1234, 4, "1,234"), (np.int64(7) * 1.5, 2, "10.50"), (None, 4, "–"), (3e-9, 4, "3.00e-09")],
)
def test_numbers_as_shown(value, digits, shown):
    if value == 0:
        value = 0.0
    assert page.number(value, digits) == shown


def test_a_text_without_a_second_language_is_escaped():
    assert page.both("a < b") == "a &lt; b"


def test_an_unknown_share_is_a_dash():
    assert (page.percent(None), page.percent(float("nan")), page.percent(0.1234)) == ("–", "–", "12.3%")
