"""The parity report: whether what was served is what batch computes, as one HTML file for the reviewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.report.inputs import FeatureLike
from reporting.page import Text, render
from serving.monitoring.parity import Parity

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("verdict", Text("结论", "Verdict")),
    ("features", Text("不一致的特征", "Features that differ")),
    ("method", Text("方法", "Method")),
)


def build_parity_report(found: Parity, *, model: str, features: Sequence[FeatureLike] = ()) -> str:
    """Write a check of parity as self-contained HTML; the same input gives the same bytes.

    Parameters
    ----------
    found : Parity
    model : str
        Whose feature set was recomputed.
    features : sequence of FeatureLike
        Declarations, for their Chinese and English descriptions; a feature without one is shown by its name.

    Returns
    -------
    str
        HTML in Chinese and English, switched by the reader or by `#zh` and `#en` behind the address; no network.
    """
    declared: Mapping[str, FeatureLike] = {feature.name: feature for feature in features}
    context: dict[str, Any] = {
        "title": Text("线上线下特征一致性报告", "Parity of features served and recomputed"),
        "sections": SECTIONS,
        "found": found,
        "facts": _facts(found, model),
        "texts": {row.feature: _text(row.feature, declared) for row in found.mismatches},
    }
    return render("parity_report.html.j2", context, "serving.monitoring")


def _facts(found: Parity, model: str) -> list[tuple[Text, str]]:
    return [
        (Text("模型", "Model"), model),
        (Text("特征集", "Feature set"), f"{found.feature_set} {found.feature_set_identity}"),
        (Text("最早决策 (UTC)", "First answer (UTC)"), str(found.first or "–")),
        (Text("最晚决策 (UTC)", "Last answer (UTC)"), str(found.last or "–")),
        (Text("其他特征集的请求 (未比较)", "On other feature sets, left out"), str(found.other_feature_set)),
        (Text("无法读取的请求 (未比较)", "Unreadable, left out"), str(found.unreadable)),
    ]


def _text(name: str, declared: Mapping[str, FeatureLike]) -> Text:
    feature = declared.get(name)
    return Text(feature.zh, feature.en) if feature else Text(name, name)
