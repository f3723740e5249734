"""Gates as TOML: what is read, and that one message lists every fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.errors import DeclarationError
from evaluation.gate.criteria import CRITERIA
from evaluation.gate.declaration import Bound, declared_gate, gate_names, read_gate


def test_the_default_asks_for_everything() -> None:
    gate = read_gate("default")
    assert set(gate.bounds) == set(CRITERIA)
    assert gate.bounds["auc_difference"] == Bound(least=-0.01, by="interval")
    assert gate.bounds["parity_mismatches"].most == 0
    assert gate.measuring.approval_rate == 0.8
    assert "default" in gate_names()


def test_the_identity_is_of_what_is_declared(tmp_path: Path) -> None:
    for name, text in {
        "a": "[auc]\nleast = 0.6",
        "b": "# why\n[auc]\nleast = 0.60",
        "c": "[auc]\nleast = 0.61",
    }.items():
        (tmp_path / f"{name}.toml").write_text(f'name = "own"\n{text}\n')
    a, b, c = (read_gate(str(tmp_path / f"{name}.toml")).identity for name in "abc")
    assert a == b != c


def test_every_fault_is_listed_at_once() -> None:
    declared = {
        "name": "Not A Name",
        "measuring": {"seed": -1, "rows": 3, "approval_rate": 1.0},
        "score_psi": {"least": 0.2},
        "auc": {"most": 0.9, "least": 0.6},
        "auc_diference": {"least": -0.01},
        "additivity": {"most": 1e-4, "by": "interval"},
        "calibration_slope": {"least": 1.4, "most": 0.7},
        "calibration_error": {},
        "mean_pd_ratio": {"least": "0.8", "below": 2},
        "latency_p99_ms": 50,
        "reason_agreement": {"least": float("nan")},
    }
    with pytest.raises(DeclarationError) as caught:
        declared_gate(declared, "mine.toml")
    told = str(caught.value)
    assert told.startswith("Gate mine.toml is declared wrongly:\n")
    for fault in (
        "- name: ",
        "- measuring.seed: ",
        "- measuring.rows: there is no such key; there are seed, approval_rate",
        "- measuring.approval_rate: ",
        "- score_psi.least: would let a worse figure pass and refuse a better one; give most",
        "- auc.most: would let a worse figure pass",
        "- auc_diference: there is no such key; did you mean auc_difference?",
        '- additivity.by: has no interval; leave it out, or give "value"',
        "- calibration_slope: least 1.4 is above most 0.7, so that nothing could pass",
        "- calibration_error: has no bound; give most",
        "- mean_pd_ratio.least: ",
        "- mean_pd_ratio.below: there is no such key; there are least, most, by",
        "- latency_p99_ms: ",
        "- reason_agreement.least: ",
    ):
        assert fault in told
    assert told.count("\n- ") == 14


def test_a_gate_that_asks_for_nothing_is_none() -> None:
    with pytest.raises(DeclarationError, match="asks for nothing; give a bound to some of auc_difference, auc"):
        declared_gate({"name": "open"})
    with pytest.raises(DeclarationError, match="- name: is missing"):
        declared_gate({"auc": {"least": 0.6}})


@pytest.mark.parametrize(
    ("text", "told"), [(b"name = ", "is no valid TOML"), (b"\xff\xfe", "cannot be read"), (None, "cannot be read")]
)
def test_a_file_that_is_no_gate(tmp_path: Path, text: bytes | None, told: str) -> None:
    path = tmp_path / "gate.toml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(DeclarationError, match=told):
        read_gate(str(path))


def test_a_gate_that_does_not_come_with_lendwell() -> None:
    with pytest.raises(DeclarationError, match=r"no gate 'strict'; there are .*default.*, or give the path"):
        read_gate("strict")
