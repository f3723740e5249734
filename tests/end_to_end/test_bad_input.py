"""Bad input through the command line: one message that names cause and way out, its exit code, nothing half-written."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from data_contracts.folder import TableFolder
from tests.command_line import refused, run
from tests.end_to_end.conftest import QUICK, Trained


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def tables(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the lender's tables, the test's own to damage."""
    shutil.copytree(trained.tables, tmp_path / "tables")
    return tmp_path / "tables"


def rewrite(tables: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a table as someone would who writes it anew, hashes and all."""
    for file in map(Path, TableFolder.open(tables).files(name)):
        pq.write_table(change(pq.read_table(file)), file)
    sign(tables)


def sign(tables: Path) -> None:
    """Make all hashes those of the files as they are; files that are gone are forgotten."""
    manifest = json.loads((tables / "lender.json").read_text())
    for batch in manifest["batches"]:
        told = tables / "batches" / batch["id"] / "batch.json"
        facts = json.loads(told.read_text())
        facts["files"] = {
            table: {name: sha256(told.parent / name) for name in files if (told.parent / name).is_file()}
            for table, files in facts["files"].items()
            if (told.parent / table).is_dir()
        }
        told.write_text(json.dumps(facts))
        batch["sha256"] = sha256(told)
    (tables / "lender.json").write_text(json.dumps(manifest))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def drop(tables: Path, name: str, *, from_manifest: bool) -> None:
    for folder in tables.glob(f"batches/*/{name}"):
        shutil.rmtree(folder)
    if from_manifest:
        sign(tables)


def every_step(trained: Trained, data: Path, out: Path) -> dict[str, tuple[Any, ...]]:
    """Each command that reads a folder of tables."""
    at_home = ("--home", trained.home)
    return {
        "validate": ("validate", data),
        "features": ("features", "--data", data, "--out", out / "features.parquet"),
        "train": ("train", trained.experiment, "--data", data, *at_home),
        "evaluate": ("evaluate", "--model", "quick", "--data", data, "--out", out / "report.html", *at_home),
        "score-batch": ("score-batch", "--model", "quick", "--data", data, "--out", out / "scores.parquet", *at_home),
    }


STEPS = ("validate", "features", "train", "evaluate", "score-batch")


@pytest.mark.parametrize("step", STEPS)
def test_a_folder_that_is_missing_or_empty(trained: Trained, tmp_path: Path, step: str) -> None:
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    assert "There is no folder" in refused(*every_step(trained, tmp_path / "none", out)[step], code=2)
    message = refused(*every_step(trained, empty, out)[step], code=2)
    assert f"{empty} holds no canonical tables" in message
    assert "lendwell simulate" in message
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize("step", STEPS)
def test_a_truncated_table(trained: Trained, tables: Path, tmp_path: Path, step: str) -> None:
    file = Path(TableFolder.open(tables).files("inquiries")[3])
    file.write_bytes(file.read_bytes()[:-100])
    before = files_of(tmp_path)
    message = refused(*every_step(trained, tables, tmp_path / "out")[step], code=2)
    assert str(file) in message
    assert "again" in message
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("from_manifest", [True, False])
def test_no_applications(trained: Trained, tables: Path, tmp_path: Path, step: str, from_manifest: bool) -> None:
    drop(tables, "applications", from_manifest=from_manifest)
    if step == "validate" and from_manifest:  # a lender of monthly states alone has none, and its contracts can hold
        assert "all hold" in run(*every_step(trained, tables, tmp_path / "out")[step]).out
        return
    message = refused(*every_step(trained, tables, tmp_path / "out")[step], code=2)
    assert ("has no table applications" if from_manifest else "is gone, though its folder lists it") in message
    assert "again" in message
    assert not (tmp_path / "out").exists()


def test_no_outcomes_to_learn_or_measure_by(trained: Trained, tables: Path, tmp_path: Path) -> None:
    drop(tables, "outcomes", from_manifest=True)
    steps = every_step(trained, tables, tmp_path / "out")
    for step in ("train", "evaluate"):
        assert "no outcomes" in refused(*steps[step], code=2)
    assert run(*steps["score-batch"]).code == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_wrong_column(trained: Trained, tables: Path, tmp_path: Path, step: str) -> None:
    rewrite(tables, "inquiries", lambda table: table.rename_columns({"known_at": "known"}))
    message = refused(*every_step(trained, tables, tmp_path / "out")[step], code=2)
    assert "inquiries" in message
    assert "known_at" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("step", ["validate", "features", "train", "evaluate"])
def test_a_negative_amount_breaks_the_contract(trained: Trained, tables: Path, tmp_path: Path, step: str) -> None:
    def negative(table: pa.Table) -> pa.Table:
        place = table.column_names.index("amount_requested")
        return table.set_column(place, "amount_requested", pc.negate(table["amount_requested"]))

    rewrite(tables, "applications", negative)
    message = refused(*every_step(trained, tables, tmp_path / "out")[step], code=2)
    rows = TableFolder.open(tables).rows("applications")
    assert "applications.amount_requested" in message
    assert f"{rows:,} rows" in message
    assert not (tmp_path / "out").exists()


@pytest.fixture
def raw(real_data: Path, tmp_path: Path) -> Path:
    """A small folder of Home Credit's own files."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("application_train", "bureau"):
        frame = pd.read_parquet(real_data / "home_credit" / f"{name}.parquet").head(200)
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def damage(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    file = folder / "application_train.parquet"
    change(pd.read_parquet(file)).to_parquet(file, index=False)


def cut(folder: Path) -> None:
    file = folder / "bureau.parquet"
    file.write_bytes(file.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda raw: damage(raw, lambda frame: frame.drop(columns="AMT_CREDIT")), "lacks the column AMT_CREDIT"),
        (lambda raw: damage(raw, lambda frame: frame.assign(AMT_CREDIT=-5.0)), "applications.amount_requested"),
        (lambda raw: damage(raw, lambda frame: frame.assign(AMT_CREDIT="many")), "numbers are needed"),
        (lambda raw: (raw / "application_train.parquet").unlink(), "has no application_train or application_test"),
        (cut, "bureau.parquet is no whole Parquet file"),
    ],
    ids=["wrong column", "negative amount", "text for numbers", "missing table", "truncated"],
)
def test_raw_files_that_cannot_be_imported(raw: Path, tmp_path: Path, fault: Callable, told: str) -> None:
    fault(raw)
    assert told in refused("import", "home-credit", raw, "--out", tmp_path / "tables", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_an_unknown_lender_names_those_there_are(tmp_path: Path) -> None:
    message = refused("import", "nobody", tmp_path, "--out", tmp_path / "tables", code=2)
    assert "'nobody'" in message
    assert "home-credit" in message


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("nobody", "no model 'nobody' (it has: quick). Train one with `lendwell train`"),
        ("quick/9", "'quick' has no version 9; versions: 1"),
        ("quick@challenger", "'quick' has no challenger. Name one with `lendwell promote quick/VERSION`"),
    ],
)
def test_a_model_that_is_not_registered(trained: Trained, tmp_path: Path, model: str, told: str) -> None:
    out = tmp_path / "scores.parquet"
    at_home = ("--model", model, "--home", trained.home)
    assert told in refused("score-batch", *at_home, "--data", trained.tables, "--out", out, code=3)
    assert told in refused("serve", *at_home, "--port", unused_port(), code=3)
    assert not out.exists()


def test_a_registry_without_a_champion(trained: Trained, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    shutil.copytree(trained.home, tmp_path / "home")
    MlflowClient(f"sqlite:///{tmp_path}/home/mlflow.db").delete_registered_model_alias("quick", "champion")
    message = refused("serve", "--model", "quick", "--home", tmp_path / "home", "--port", unused_port(), code=3)
    assert "has no champion" in message
    assert "lendwell promote quick/VERSION" in message


@pytest.fixture(params=["largest file", "manifest.json", "facts.json"])
def changed_file(request: pytest.FixtureRequest, trained: Trained) -> Iterator[str]:
    """One byte of one file of the champion's bundle is changed in the artifact store while the test lasts."""
    files = [path for path in (trained.home / "artifacts").rglob("bundle/**/*") if path.is_file()]
    victim = max(files, key=lambda path: (path.name == request.param, path.stat().st_size))
    original = victim.read_bytes()
    changed = bytearray(original)
    changed[original.index(b"quick") if victim.suffix == ".json" else len(original) // 2] ^= 1
    victim.write_bytes(changed)
    yield victim.name
    victim.write_bytes(original)


def test_a_bundle_with_one_byte_changed(trained: Trained, changed_file: str, tmp_path: Path) -> None:
    at_home = ("--home", trained.home)
    out = tmp_path / "scores.parquet"
    for words in (
        ("score-batch", "--model", "quick", "--data", trained.tables, "--out", out, *at_home),
        ("promote", "quick/1", "--approver", "risk team", *at_home),
        ("serve", "--model", "quick", "--port", unused_port(), *at_home),
    ):
        message = refused(*words, code=4)
        assert "was changed" in message
        assert changed_file in message
        assert "quick/1" in message
    assert not out.exists()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_port_in_use(trained: Trained) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refused("serve", "--model", "quick", "--home", trained.home, "--port", port, code=5)
    assert f"127.0.0.1:{port}" in message
    assert "another --port" in message


def test_every_fault_of_an_experiment_in_one_message(trained: Trained, tmp_path: Path) -> None:
    wrong = QUICK.replace("months_on_book", "month_on_book").replace(
        "max_depth = 2\n", 'max_depht = 2\ngamma = "big"\n'
    )
    wrong = wrong.replace('"application_v1"', '"application_v0"').replace("hidden = 8", "hiddn = 8")
    (tmp_path / "wrong.toml").write_text(wrong.replace("low = 1, high = 2", "low = 2, high = 1"))
    message = refused("train", tmp_path / "wrong.toml", "--data", trained.tables, "--home", tmp_path / "home", code=2)
    for told in (
        "target.month_on_book: there is no such key; did you mean months_on_book?",
        "boosted.max_depht: there is no such key; did you mean max_depth?",
        "boosted.gamma: 'big' is no float",
        "sequence_net.hiddn: there is no such key; did you mean hidden?",
        "no feature set 'application_v0'",
        "max_depth: low 2 is above high 1",
    ):
        assert told in message
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.toml"]


@pytest.fixture
def request_body(trained: Trained) -> dict[str, Any]:
    """A request that would be answered."""
    from serving.client import request_from_tables

    folder = TableFolder.open(trained.tables)
    name = folder.read("applications", ["application_id"])["application_id"].iloc[0]
    return json.loads(request_from_tables(folder, name).model_dump_json(exclude_none=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda body: body.update(salary=1), "salary: not a field of this contract"),
        (lambda body: body["application"].update(region_population_share=float("nan")), "region_population_share"),
        (lambda body: body["application"].update(amount_requested=-1), "application.amount_requested"),
        (lambda body: body["inquiries"].append(_LATE), "lies after application.applied_at"),
        (lambda body: body.pop("application"), "application: is missing"),
    ],
    ids=["unknown field", "NaN", "negative amount", "after as_of", "no application"],
)
def test_a_request_that_breaks_its_contract(
    trained: Trained, request_body: dict[str, Any], tmp_path: Path, change: Callable, told: str
) -> None:
    change(request_body)
    (tmp_path / "request.json").write_text(json.dumps(request_body))
    words = ("score", tmp_path / "request.json", "--model", "quick", "--home", trained.home)
    assert told in refused(*words, code=2)


_LATE = {
    "inquiry_id": "late",
    "occurred_at": "2051-01-01",
    "known_at": "2051-01-02",
    "reason": "other",
    "institution_kind": "bank",
}


def test_a_request_that_cannot_be_read(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_bytes(b'\xff{"application"')
    at_home = ("--model", "quick", "--home", trained.home)
    assert "Invalid JSON" in refused("score", tmp_path / "request.json", *at_home, code=2)
    assert "no request file" in refused("score", tmp_path / "none.json", *at_home, code=2)
    assert "Give a request file" in refused("score", *at_home, code=2)
    assert "no application of that id" in refused(
        "score", "--data", trained.tables, "--application", "nobody", *at_home, code=2
    )


def test_an_endpoint_that_does_not_answer(trained: Trained, request_body: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(json.dumps(request_body))
    message = refused("score", tmp_path / "request.json", "--url", f"http://127.0.0.1:{unused_port()}", code=5)
    assert "gives no answer" in message
    assert "lendwell serve" in message


@pytest.mark.parametrize("scheme", ["postgresql", "http"])
def test_a_registry_that_cannot_be_reached(trained: Trained, tmp_path: Path, scheme: str) -> None:
    uri = f"{scheme}://reader:secret@127.0.0.1:{unused_port()}/mlflow"
    words = ("train", trained.experiment, "--data", trained.tables, "--home", tmp_path / "home", "--tracking-uri", uri)
    message = refused(*words, code=3)
    assert "--tracking-uri" in message
    assert "secret" not in message
    assert files_of(tmp_path) == {}


def test_a_registry_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is a text and no database of MLflow " * 40)
    assert "file is not a database" in refused(
        "promote", "quick/1", "--approver", "risk team", "--home", tmp_path, code=3
    )


def test_an_out_that_is_something_else(trained: Trained, tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    (folder / "precious").write_text("keep me")
    file.write_text("keep me")
    before = files_of(tmp_path)
    for step, words in every_step(trained, trained.tables, folder).items():
        if "--out" in words:
            place = words.index("--out") + 1
            wrong = [*words[:place], folder, *words[place + 1 :]]
            assert f"{folder} is a folder" in refused(*wrong, code=2), step
            wrong[place] = file / "below.parquet"
            assert f"{file} is a file" in refused(*wrong, code=2), step
    for place in (folder, file):
        assert "name another" in refused("simulate", "--customers", 5, "--out", place, code=2)
        assert "was not written by the demo" in refused("demo", "--out", place, code=2)
    at_home = ("--model", "quick", "--home", trained.home)
    assert f"{file} is no folder" in refused("monitor", "--out", file, *at_home, code=2)
    assert f"{file} is no folder" in refused("promote", "quick/1", "--approver", "risk team", "--home", file, code=2)
    assert files_of(tmp_path) == before


def test_an_empty_decision_log(trained: Trained, tmp_path: Path) -> None:
    log = f"sqlite:///{tmp_path}/decisions.db"
    words = ("monitor", "--model", "quick", "--home", trained.home, "--log-url", log, "--out", tmp_path / "drift")
    message = refused(*words, code=1)
    assert "holds no answer of quick/1" in message
    assert "lendwell serve" in message
    assert not (tmp_path / "drift").exists()


def test_errors_for_machines(tmp_path: Path) -> None:
    ran = run("validate", tmp_path / "none", "--json")
    assert (ran.code, ran.err) == (2, "")
    error = ran.facts["error"]
    assert (error["type"], error["exit_code"]) == ("SourceError", 2)
    assert "There is no folder" in error["message"]
