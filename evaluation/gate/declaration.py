"""A gate as TOML: which bounds a version must keep, checked as a whole, so that one message lists every fault."""

from __future__ import annotations

import difflib
import hashlib
import importlib.resources
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import DeclarationError
from evaluation.gate.criteria import CRITERIA


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Bound(_Section):
    """What a figure must keep: at least, at most, or both; itself, or its whole 95 % interval.

    Examples
    --------
    >>> Bound(least=0.8).kept(0.8, 0.8), Bound(least=0.7, most=1.4).kept(0.69, 1.1)
    (True, False)
    """

    least: float | None = None
    most: float | None = None
    by: Literal["value", "interval"] = "value"

    def kept(self, low: float, high: float) -> bool:
        """Whether everything from `low` to `high` lies within."""
        return (self.least is None or low >= self.least) and (self.most is None or high <= self.most)


class Measuring(_Section):
    """How the evidence is measured; see the comments in `gates/default.toml`."""

    seed: int = Field(default=7, ge=0)
    approval_rate: float = Field(default=0.8, gt=0.0, lt=1.0)
    group_rows: int = Field(default=100, ge=2)
    month_defaults: int = Field(default=10, ge=2)
    months: int = Field(default=3, ge=2)
    explained_rows: int = Field(default=200, ge=1)
    requests: int = Field(default=200, ge=1)


class Gate(_Section):
    """A gate.

    Examples
    --------
    >>> read_gate("default").bounds["adverse_impact_gender"].least
    0.8
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    measuring: Measuring = Measuring()
    bounds: dict[str, Bound]

    @property
    def identity(self) -> str:
        """SHA-256 of what is declared; comments and layout do not matter."""
        declared = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(declared.encode()).hexdigest()


def read_gate(name: str) -> Gate:
    """Read a gate by the path of its TOML or by the name of one that comes with Lendwell.

    Raises
    ------
    DeclarationError
        Where there is none, or it is wrong; every fault is listed.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in gate_names():
            raise DeclarationError(
                f"There is no gate {name!r}; there are {', '.join(gate_names())}, or give the path of a .toml file."
            )
        text = _folder().joinpath(f"{name}.toml").read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise DeclarationError(f"Gate {path} cannot be read ({fault}).") from fault
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise DeclarationError(f"Gate {name} is no valid TOML: {fault}.") from fault
    return declared_gate(declared, name)


def declared_gate(declared: Mapping[str, Any], where: str = "gate") -> Gate:
    """Check what a gate declares; `DeclarationError` lists every fault."""
    head = {key: value for key, value in declared.items() if key in ("name", "measuring")}
    bounds = {key: value for key, value in declared.items() if key not in head}
    faults = [fault for name, bound in bounds.items() for fault in _bound_faults(name, bound)]
    if not bounds:
        faults.append(f"it asks for nothing; give a bound to some of {', '.join(CRITERIA)}")
    known = {name: bound for name, bound in bounds.items() if name in CRITERIA}
    try:
        gate = Gate(**head, bounds=known)
    except ValidationError as fault:
        faults = [*_field_faults(fault), *faults]
    if faults:
        raise DeclarationError(f"Gate {where} is declared wrongly:\n" + "\n".join(f"- {fault}" for fault in faults))
    return gate


def gate_names() -> list[str]:
    """Names of the gates that come with Lendwell."""
    return sorted(path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml"))


def _folder() -> Any:
    return importlib.resources.files("evaluation.gate").joinpath("gates")


def _bound_faults(name: str, bound: Any) -> list[str]:
    """What only the criteria know: that there is such a figure, and that its bound is on the side that matters."""
    if name not in CRITERIA:
        return [f"{name}: {_unknown(name, [*CRITERIA, 'measuring', 'name'])}"]
    if not isinstance(bound, Mapping):
        return []  # pydantic tells
    criterion, given = CRITERIA[name], [side for side in ("least", "most") if bound.get(side) is not None]
    faults = [
        f"{name}.{side}: would let a worse figure pass and refuse a better one; give {criterion.bounds[0]}"
        for side in given
        if side not in criterion.bounds
    ]
    if not given:
        faults.append(f"{name}: has no bound; give {' or '.join(criterion.bounds)}")
    if bound.get("by") == "interval" and not criterion.interval:
        faults.append(f'{name}.by: has no interval; leave it out, or give "value"')
    least, most = bound.get("least"), bound.get("most")
    if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
        faults.append(f"{name}: least {least} is above most {most}, so that nothing could pass")
    return faults


def _field_faults(error: ValidationError) -> list[str]:
    """What pydantic found, in our words."""
    faults = []
    for detail in error.errors(include_url=False):
        where = [str(part) for part in detail["loc"] if part != "bounds"]
        problem = detail["msg"]
        if detail["type"] == "extra_forbidden":
            section = Measuring if where[0] == "measuring" else Bound
            problem = _unknown(where[-1], list(section.model_fields))
        elif detail["type"] == "missing":
            problem = "is missing"
        faults.append(f"{'.'.join(where)}: {problem}")
    return faults


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    told = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"there is no such key; {told}"
