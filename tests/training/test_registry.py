"""The registry on real MLflow, on SQLite and on real PostgreSQL: who is champion, and what is downloaded."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from data_contracts.errors import BundleError, RegistryError
from training.bundle import Bundle
from training.model_register import ModelRegister
from training.registry import Registered, Registry, download_bundle
from training.standing import Act
from training.workers import this_process


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of its own for every kind of database: MLflow takes seconds to lay one out."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/deep/mlflow.db"
    import psycopg

    server = request.getfixturevalue("postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE mlflow")
    return server.replace("/postgres?", "/mlflow?")


@pytest.fixture(scope="module")
def registry(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(uri, tmp_path_factory.mktemp("artifacts"))


def logged(registry: Registry, tiny, name: str) -> str:
    return registry.log_run(
        name,
        params={"boosted.max_depth": 2, "long": "x" * 5000},
        metrics={"auc": 0.75},
        tags={"bundle_identity": tiny.bundle.identity},
        bundle=tiny.path,
    )


@pytest.fixture(scope="module")
def versions(registry: Registry, tiny) -> tuple[Registered, Registered]:
    """Two versions of `two`: the champion and its challenger."""
    run_id = logged(registry, tiny, "two")
    return registry.register("two", run_id), registry.register("two", run_id)


def test_the_first_is_champion_and_the_next_its_challenger(versions):
    assert [(version.label, version.aliases) for version in versions] == [
        ("two/1", ("champion",)),
        ("two/2", ("challenger",)),
    ]


def test_a_run_keeps_what_was_logged(registry, tiny):
    run = registry.client.get_run(logged(registry, tiny, "kept"))
    assert run.info.status == "FINISHED"
    assert run.data.params["boosted.max_depth"] == "2"
    assert run.data.params["long"].startswith("xxx")
    assert run.data.metrics == {"auc": 0.75}
    (model,) = run.outputs.model_outputs
    assert str(registry.client.get_logged_model(model.model_id).status) == "READY"
    assert run.data.tags["bundle_identity"] == tiny.bundle.identity
    registry.log_to_run(run.info.run_id, {"ks": 0.4}, {"later": tiny.path / "facts.json"})
    assert registry.client.get_run(run.info.run_id).data.metrics == {"auc": 0.75, "ks": 0.4}
    assert [file.path for file in registry.client.list_artifacts(run.info.run_id, "later")] == ["later/facts.json"]


def test_a_run_that_breaks_off_is_marked_as_failed(registry, tiny, tmp_path):
    plain = {"params": {}, "metrics": {}, "tags": {}}
    with pytest.raises(BundleError, match="none is no bundle"):
        registry.log_run("broken", **plain, bundle=tmp_path / "none")
    with pytest.raises(OSError, match="missing"):
        registry.log_run("broken", **plain, bundle=tiny.path, artifacts={"report": tmp_path / "missing"})
    experiment = registry.client.get_experiment_by_name("broken").experiment_id
    runs = registry.client.search_runs([experiment])
    assert [run.info.status for run in runs] == ["FAILED", "FAILED"]
    assert {str(model.status) for model in registry.client.search_logged_models([experiment])} == {"FAILED"}
    for run in runs:
        with pytest.raises(RegistryError, match="is FAILED and has no whole bundle"):
            registry.register("broken", run.info.run_id)
    with pytest.raises(RegistryError, match="no model 'broken'"):
        registry.find("broken")


def begun(registry: Registry, experiment: str, worker: str) -> tuple[str, str]:
    """A run, and its model, that somebody has begun to log."""
    number = registry._experiment(experiment)
    run_id = registry.client.create_run(number, tags={"worker": worker}).info.run_id
    return run_id, registry.client.create_logged_model(number, "bundle", run_id).model_id


def test_what_a_killed_process_left_is_marked_as_failed_and_nothing_else(registry):
    host, process, started = this_process().rsplit(":", 2)
    killed = begun(registry, "left", f"{host}:{process}:{float(started) - 60:.2f}")  # another had its number before
    others = [begun(registry, "left", worker) for worker in (this_process(), f"other-{host}:{process}:1.00")]
    untold = registry.client.create_run(registry._experiment("left")).info.run_id
    assert registry.end_what_was_left("left") == [killed[0]]
    assert registry.end_what_was_left("left") == registry.end_what_was_left("never trained") == []
    status = {run_id: registry.client.get_run(run_id).info.status for run_id in (killed[0], others[0][0], others[1][0])}
    assert list(status.values()) == ["FAILED", "RUNNING", "RUNNING"]
    assert registry.client.get_run(untold).info.status == "RUNNING"
    models = [str(registry.client.get_logged_model(model).status) for _, model in (killed, *others)]
    assert models == ["FAILED", "PENDING", "PENDING"]


def test_a_run_tells_which_process_logged_it(registry, tiny):
    assert registry.client.get_run(logged(registry, tiny, "whose")).data.tags["worker"] == this_process()


def test_a_disk_that_is_full_registers_nothing(uri, tiny, small_disk):
    registry = Registry(uri, small_disk)
    with pytest.raises(OSError, match="No space left"):
        logged(registry, tiny, "cramped")
    experiment = registry.client.get_experiment_by_name("cramped").experiment_id
    assert [run.info.status for run in registry.client.search_runs([experiment])] == ["FAILED"]
    assert {str(model.status) for model in registry.client.search_logged_models([experiment])} == {"FAILED"}


def test_long_curves_and_many_parameters_are_kept_whole(registry, tiny):
    curve = {step: 1.0 / step for step in range(1, 1501)}
    params = {f"p{number}": number for number in range(250)}
    run_id = registry.log_run(
        "long", params=params, metrics={}, tags={}, bundle=tiny.path, curves={"curve_boosted": curve}
    )
    assert len(registry.client.get_run(run_id).data.params) == 250
    told = registry.client.get_metric_history(run_id, "curve_boosted")
    assert {point.step: point.value for point in told} == curve


@pytest.mark.parametrize(
    ("model", "label"),
    [("two", "two/1"), ("two@champion", "two/1"), ("two@challenger", "two/2"), ("two/2", "two/2")],
)
def test_a_model_is_found_by_name_alias_or_version(registry, versions, model, label):
    assert registry.find(model).label == label


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("nobody", r"no model 'nobody' \(it has: .*two.*\). Train one with `lendwell train`"),
        ("", "no model ''"),
        ("two/7", "'two' has no version 7; versions: 1, 2"),
        ("two/x", "'two' has no version x; versions: 1, 2"),
        ("two@shadow", "'two' has no shadow. Name one with `lendwell promote two/VERSION`; versions: 1, 2"),
        ("two' OR name LIKE '%", "no model"),
    ],
)
def test_a_model_that_is_not_there(registry, versions, model, told):
    with pytest.raises(RegistryError, match=told):
        registry.find(model)


def test_what_is_loaded_is_what_was_trained(registry, versions, tiny):
    bundle, registered = registry.load("two@challenger")
    assert (bundle.identity, registered.label) == (tiny.bundle.identity, "two/2")


def test_the_registry_follows_what_it_is_told(registry, tiny):
    run_id = logged(registry, tiny, "rising")
    for _ in range(2):
        registry.register("rising", run_id)
    registry.follow("rising", "2", {})
    assert registry.find("rising@champion").aliases == ("champion",)  # and challenger no more
    assert registry.find("rising").label == "rising/2"
    registry.follow("rising", "1", {"2": "it loses money"})
    assert [registry.find(f"rising/{number}").aliases for number in registry.versions("rising")] == [("champion",), ()]
    assert registry.find("rising/2").retired == "it loses money"
    assert registry.register("rising", run_id).aliases == ("challenger",)
    registry.follow("rising", None, {"1": "gone", "2": "it loses money"})
    with pytest.raises(RegistryError, match="has no champion"):
        registry.find("rising")
    assert registry.find("rising@challenger").label == "rising/3"
    registry.follow("rising", None, {"3": "gone too"})
    with pytest.raises(RegistryError, match="has no challenger"):
        registry.find("rising@challenger")
    assert registry.register("rising", run_id).aliases == ("challenger",)  # champion is nobody by itself but the first


def test_a_retired_version_is_not_handed_to_a_service(registry, tiny, uri, tmp_path):
    registry.register("tired", logged(registry, tiny, "tired"))
    registry.follow("tired", None, {"1": "its feed has ended"})
    with pytest.raises(RegistryError, match=r"tired/1 was retired: its feed has ended\. Name another version"):
        download_bundle(uri, "tired", "1", tmp_path / "bundles")
    assert registry.load("tired/1")[0].identity == tiny.bundle.identity  # what it answered can be looked into


def test_a_mark_of_the_model_register_stays(registry, versions):
    registry.mark("two", 7, "a7" * 32)
    registry.mark("two", 7, "b7" * 32)
    registry.mark("two", 11, "a1" * 32)
    assert registry.marks("two") == {7: "a7" * 32, 11: "a1" * 32}


def test_the_model_register_may_lie_in_the_same_database(registry, versions, uri):
    with ModelRegister(uri) as register:
        register.append(Act("two", "1", "registered", "its author", datetime(2026, 7, 1), "b1" * 32))
        assert register.faults() == []
    assert Registry(uri, registry.artifacts).versions("two") == registry.versions("two")


def test_what_is_read_from_a_run_is_what_was_logged(registry, tiny, tmp_path):
    run_id = logged(registry, tiny, "read")
    (tmp_path / "verdict.json").write_bytes("{结论}".encode())
    registry.log_to_run(run_id, {}, {"gate": tmp_path / "verdict.json"}, {"gate_passed": "true"})
    assert registry.read_from_run(run_id, "gate/verdict.json") == "{结论}".encode()
    assert registry.read_from_run(run_id, "gate/none.json") is None
    model = registry.register("read", run_id)
    assert registry.run_tags(model)["gate_passed"] == "true"
    assert registry.identity(model) == tiny.bundle.identity


def test_a_bundle_is_downloaded_by_alias_or_number(registry, versions, uri, tiny, tmp_path):
    folder = download_bundle(uri, "two", "2", tmp_path / "bundles")
    assert folder.name == "two-2"
    assert Bundle.load(folder).identity == tiny.bundle.identity
    assert download_bundle(uri, "two", "champion", tmp_path / "bundles").name == "two-1"


def test_a_version_of_before_models_were_logged_is_still_loaded(registry, tiny):
    client = registry.client
    run = client.create_run(registry._experiment("old"))
    client.log_artifacts(run.info.run_id, str(tiny.path), "bundle")
    client.create_registered_model("old")
    client.create_model_version("old", f"{run.info.artifact_uri}/bundle", run.info.run_id)
    assert registry.load("old/1")[0].identity == tiny.bundle.identity


def stored(registry: Registry, name: str) -> Path:
    return next(path for path in (registry.artifacts / name).rglob("bundle") if path.is_dir())


@pytest.mark.parametrize("file", ["model/hybrid.json", "manifest.json"])
def test_a_bundle_changed_in_the_store_is_never_used(registry, tiny, file, request):
    name = "changed_" + file.split("/")[-1].removesuffix(".json")
    registry.register(name, logged(registry, tiny, name))
    victim = stored(registry, name) / file
    victim = victim if victim.is_file() else next((stored(registry, name) / "model").glob("*.json"))
    victim.write_text(victim.read_text() + " ")
    for attempt in (lambda model: registry.identity(registry.find(model)), registry.load):
        with pytest.raises(BundleError, match=f"{victim.name} .* as {name}/1; another version can be named"):
            attempt(f"{name}/1")


def test_a_bundle_whose_files_are_gone(registry, tiny):
    registry.register("gone", logged(registry, tiny, "gone"))
    folder = stored(registry, "gone")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(RegistryError, match=r"files of gone/1 cannot be had from file:.* Restore them"):
        registry.load("gone")


def test_a_password_is_not_told(tmp_path):
    with pytest.raises(RegistryError, match="Check --tracking-uri") as caught:
        Registry("postgresql://reader:secret@127.0.0.1:9/mlflow", tmp_path)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:9/mlflow" in str(caught.value)
    assert "postgresql://USER@HOST/NAME" in str(caught.value)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "gopher://127.0.0.1"])
def test_no_server_there_and_no_such_store(tmp_path, uri):
    with pytest.raises(RegistryError, match=f"The registry at {uri} "):
        Registry(uri, tmp_path)
