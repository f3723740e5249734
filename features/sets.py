"""Named, versioned lists of features. A released set never changes: its hash stands in `released.json`.

Until a set is released its declarations may change freely. Releasing it is one line in `features/released.json`, its
name and the identity that this prints:

    python -c "from features.sets import feature_set; print(feature_set('application_v1').identity)"

From then on `require_released` (a test calls it for every line) refuses any change of what was declared: a bundle that
was trained on the set would read other numbers under the same name. Whoever wants to change a feature declares the next
version, adds it to `_SETS` and leaves the released one as it is.

Examples
--------
>>> feature_set("application_v1").version
1

Windows (`WINDOWS`, days) are shared, so that engines share what they compute: 30, 90, 180, 365 and 730 for events; 95,
190 and 370 for card statements, so that three, six and twelve of them fit in whatever the day of the statement is; 7
for the rush of inquiries, 1460 for the worst of four years.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Mapping
from dataclasses import replace

from data_contracts.errors import DeclarationError
from features.algebra import FeatureSet

WINDOWS = (7, 30, 90, 95, 180, 190, 365, 370, 730, 1460)


@functools.cache
def feature_set(name: str) -> FeatureSet:
    """Return a feature set by name; `DeclarationError` names those there are."""
    if name not in _SETS:
        raise DeclarationError(f"There is no feature set {name!r}; there are: {', '.join(_SETS)}.")
    return _SETS[name]()


def released() -> dict[str, str]:
    """Identity of every released set, by name."""
    text = importlib.resources.files("features").joinpath("released.json").read_text(encoding="utf-8")
    hashes: dict[str, str] = json.loads(text)
    return hashes


def require_released(declared: FeatureSet, identities: Mapping[str, str]) -> None:
    """Raise `DeclarationError` where a released set no longer says what it said when it was released."""
    identity = identities.get(declared.name)
    if identity is not None and identity != declared.identity:
        raise DeclarationError(
            f"The feature set {declared.name} was released as {identity}, but its declarations now hash to "
            f"{declared.identity}. A released set never changes: restore its declarations and declare what is new as "
            f"the next version in features/sets.py. Only where nothing was ever trained on it, release it anew: "
            f'put "{declared.name}": "{declared.identity}" into features/released.json.'
        )


def _application_v1() -> FeatureSet:
    from features import application, bureau, business, consumption, repayment

    groups = (application, bureau, consumption, repayment, business)
    return FeatureSet("application_v1", 1, tuple(feature for group in groups for feature in group.FEATURES))


def _behaviour_v1() -> FeatureSet:
    from features import application, behaviour

    education = (feature for feature in application.FEATURES if feature.name.startswith("application_education_is_"))
    return FeatureSet("behaviour_v1", 1, (*behaviour.FEATURES, *education))


def _behaviour_v2() -> FeatureSet:
    """As the first version, without a direction of how late the earlier statements were one by one.

    Beside sums over windows, a later one of two equal arrears is the worse, so that an earlier one being higher lowers
    the risk: demanding the opposite cost 0.003 of AUC on the monthly card status.
    """
    from features.behaviour import EARLIER

    earlier = re.compile("card_months_late_days_nth[2-9]")
    features = (
        replace(feature, risk=0, reason=EARLIER) if earlier.fullmatch(feature.name) else feature
        for feature in feature_set("behaviour_v1").features
    )
    return FeatureSet("behaviour_v2", 2, tuple(features))


def _bureau_summary_v1() -> FeatureSet:
    from features import bureau_summary

    return FeatureSet("bureau_summary_v1", 1, bureau_summary.FEATURES, bureau_summary.PERMITS)


_SETS = {
    "application_v1": _application_v1,
    "behaviour_v1": _behaviour_v1,
    "behaviour_v2": _behaviour_v2,
    "bureau_summary_v1": _bureau_summary_v1,
}
