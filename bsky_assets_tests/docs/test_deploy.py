"""The files of docs/deploy load and name what exists; PostgreSQL holds Dagster's storage."""

import configparser
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_pydantic import ComposeSpecification
from dagster import AssetKey, AssetMaterialization, DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._utils.schedules import is_valid_cron_string
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes import client

from bsky_assets import cli
from bsky_assets.orchestration.instance import open_instance
from bsky_assets.settings import Settings, variable_name
from bsky_assets_tests.support.places import ROOT
from testbed.ports import free_port

pytestmark = pytest.mark.scenario

DEPLOY = ROOT / "docs" / "deploy"
SERVER = DEPLOY / "server"
UNITS = sorted(SERVER.glob("*.service"))
SETTINGS = {variable_name(name) for name in Settings.model_fields}
OTHERS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "DAGSTER_HOME"}
PASSWORD = "a-password / with: signs"
BIN = Path(sys.executable).parent
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
MODELS = {
    "ConfigMap": client.V1ConfigMap,
    "Deployment": client.V1Deployment,
    "PersistentVolumeClaim": client.V1PersistentVolumeClaim,
    "Role": client.V1Role,
    "RoleBinding": client.V1RoleBinding,
    "Service": client.V1Service,
    "ServiceAccount": client.V1ServiceAccount,
    "StatefulSet": client.V1StatefulSet,
}


COMPOSE = DEPLOY / "compose"
OURS = ("webserver", "daemon", "collector")


def loaded(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def database_variables() -> dict[str, str]:
    """Which variables tell of the database, by what they tell."""
    told = loaded(SERVER / "dagster.yaml")["storage"]["postgres"]["postgres_db"]
    return {name: value["env"] for name, value in told.items() if isinstance(value, dict)}


def environment_file() -> dict[str, str]:
    """The variables of the example, those that are commented out too."""
    lines = (SERVER / "bsky.env").read_text().splitlines()
    found = (re.fullmatch(r"(?:# )?([A-Z_0-9]+)=(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def known(names: Mapping[str, Any]) -> bool:
    return set(names) <= SETTINGS | OTHERS | set(database_variables().values())


def test_a_server_differs_from_the_project_in_its_storage_alone() -> None:
    server, project = loaded(SERVER / "dagster.yaml"), loaded(ROOT / "dagster.yaml")
    assert server.pop("storage") != project.pop("storage")
    assert server == project


def test_the_environment_has_what_the_server_reads_and_no_secret() -> None:
    variables = environment_file()
    assert known(variables)
    assert set(database_variables().values()) <= set(variables)
    for name, value in variables.items():
        if "PASSWORD" in name or "KEY" in name:
            assert not value, f"{name} has a value"
    assert set(database_variables()) >= {"hostname", "username", "password"}


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text())
    return parser


def runs(command: list[str]) -> None:
    """Make sure that a command is one of ours or of Dagster's, and understands its options."""
    program, *arguments = command
    assert (BIN / program).is_file(), f"there is no {program}"
    if program == "bsky-assets":
        name, *options = arguments
        cli.command_of(name).make_context(name, options)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_a_command_that_is_there(path: Path) -> None:
    service = unit(path)["Service"]
    program, *arguments = service["ExecStart"].split()
    assert program.startswith("/opt/bsky/.venv/bin/")
    runs([Path(program).name, *arguments])
    for argument in arguments:
        if argument.startswith("/opt/bsky/"):
            assert (ROOT / argument.removeprefix("/opt/bsky/")).exists()
    if "ExecStartPre" in service:
        installed = service["ExecStartPre"].split()[-1]
        assert Path(installed).is_relative_to(environment_file()["DAGSTER_HOME"])
    assert service["EnvironmentFile"] == "/etc/bsky/bsky.env"
    assert service["User"] == "bsky"
    assert "-h 127.0.0.1" in service["ExecStart"] or "webserver" not in service["ExecStart"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    assert len(UNITS) == 3
    for path in UNITS:
        text = path.read_text().replace("/opt/bsky/.venv/bin", str(BIN))
        (tmp_path / path.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.glob("*.service"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_cron_starts_commands_that_are_there() -> None:
    lines = (DEPLOY / "hpc" / "crontab").read_text().splitlines()
    jobs = [line for line in lines if line and not line.startswith("#")]
    assert jobs
    for job in jobs:
        *times, script, arguments = job.split(maxsplit=6)
        assert is_valid_cron_string(" ".join(times))
        assert (DEPLOY / "hpc" / Path(script).name).is_file()
        runs(["bsky-assets", *arguments.split()])


def test_the_script_is_installed_where_cron_looks_for_it(tmp_path: Path) -> None:
    page = (DEPLOY / "hpc.md").read_text()
    (command,) = re.findall(r"^install .*$", page, re.MULTILINE)
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(["sh", "-c", command], cwd=ROOT, env=home, check=True, timeout=250)
    scripts = re.findall(r"\$HOME/(\S+)", (DEPLOY / "hpc" / "crontab").read_text())
    assert scripts
    for script in scripts:
        assert os.access(tmp_path / script, os.X_OK)


STANDS_IN = """#!/bin/sh
echo "$BSKY_LAKE_URL $1 begins"
test "$1" = collect && exec sleep 60
sleep 0.1
echo "$1 ends"
"""


@pytest.mark.skipif(not shutil.which("flock"), reason="there is no flock")
def test_cron_starts_no_second_collector_and_lets_other_commands_wait(tmp_path: Path) -> None:
    program, logs = tmp_path / "bsky-assets", tmp_path / "bsky" / "data" / "logs"
    program.write_text(STANDS_IN)
    program.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BSKY_BIN": str(tmp_path)}

    def start(command: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([str(DEPLOY / "hpc" / "bsky.sh"), command], env=environment)

    first = start("collect")
    try:
        while not (logs / "collect.log").exists() or not (logs / "collect.log").read_text():
            time.sleep(0.02)
        assert start("collect").wait(100) == 0
    finally:
        first.kill()
        first.wait()
    assert (logs / "collect.log").read_text() == "/projects/mygroup/bsky/lake collect begins\n"
    for process in [start("materialize"), start("materialize")]:
        assert process.wait(100) == 0
    once = "/projects/mygroup/bsky/lake materialize begins\nmaterialize ends\n"
    assert (logs / "materialize.log").read_text() == once * 2


def manifests() -> list[dict[str, Any]]:
    names = ("platform.yaml", "postgresql.yaml", "pods.yaml")
    texts = [(DEPLOY / "kubernetes" / name).read_text() for name in names]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in manifests() if one["kind"] == kind}


def test_what_kubernetes_manifests_name_is_in_another_of_them_or_made_by_the_page() -> None:
    page = (DEPLOY / "kubernetes" / "README.md").read_text()
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    pages = page + (DEPLOY / "kubernetes" / "jobs.md").read_text()
    assert [one.name for one in files if one.name not in pages] == []
    told = named("ConfigMap")["bsky"]["data"]
    (database,) = named("StatefulSet")["postgresql"]["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one.get("value") or one["valueFrom"] for one in database["env"]}
    assert told["DAGSTER_PG_HOST"] in named("Service")
    assert told["DAGSTER_PG_USERNAME"] == told["DAGSTER_PG_DB"] == given["POSTGRES_USER"]
    assert given["POSTGRES_PASSWORD"]["secretKeyRef"]["name"] == "bsky"
    assert given["POSTGRES_PASSWORD"]["secretKeyRef"]["key"] == database_variables()["password"]
    pod = named("Deployment")["bsky"]["spec"]["template"]["spec"]
    (subject,) = named("RoleBinding")["bsky"]["subjects"]
    assert pod["serviceAccountName"] in named("ServiceAccount")
    assert subject["name"] == pod["serviceAccountName"]
    assert named("RoleBinding")["bsky"]["roleRef"]["name"] in named("Role")
    for made in ("secret generic bsky ", "configmap bsky-dagster "):
        assert f"kubectl create {made}" in page


def test_kubernetes_knows_every_field_and_we_every_variable() -> None:
    assert {document["kind"] for document in manifests()} == set(MODELS)
    for document in manifests():
        model = MODELS[document["kind"]]
        k8s_model_from_dict(model, k8s_snake_case_dict(model, document))
        if document["kind"] == "ConfigMap":
            assert known(document["data"])
            assert not [name for name in document["data"] if "PASSWORD" in name or "SECRET" in name]
        if document["kind"] == "Deployment":
            for container in document["spec"]["template"]["spec"]["containers"]:
                runs(container["command"])


def compose() -> dict[str, Any]:
    return loaded(COMPOSE / "compose.yaml")


def test_compose_knows_every_field_and_we_every_variable_and_path() -> None:
    content = compose()
    ComposeSpecification.model_validate({k: v for k, v in content.items() if k[:2] != "x-"})
    services = content["services"]
    assert set(services) == {"postgres", *OURS}
    for name in OURS:
        service = services[name]
        runs(service["command"])
        assert known(service["environment"])
        assert set(database_variables().values()) <= set(service["environment"])
        assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        assert (COMPOSE / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        (mounted,) = (told for told in service["volumes"] if told.startswith("."))
        assert (COMPOSE / mounted.split(":")[0]).is_file()
    assert services["webserver"]["ports"] == ["127.0.0.1:3000:3000"], "it has no login"
    ours, theirs = services["webserver"]["environment"], services["postgres"]["environment"]
    for told, name in {"DB": "DB", "USERNAME": "USER", "PASSWORD": "PASSWORD"}.items():
        assert ours[f"DAGSTER_PG_{told}"] == theirs[f"POSTGRES_{name}"]
    example = (COMPOSE / "env.example").read_text()
    assert re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE)
    assert known(dict.fromkeys(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE)))
    assert "DAGSTER_PG_PASSWORD=\n" in example, "it has a value"


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str]]:
    """A PostgreSQL of our own on loopback; yields the variables that tell of it, and its port."""
    if not POSTGRES:
        pytest.skip("there is no PostgreSQL")
    user, port = _user(), free_port()
    # Not in pytest's own folder: that lets nobody else in, and PostgreSQL may be somebody else.
    with tempfile.TemporaryDirectory() as folder:
        data, password = Path(folder, "data"), Path(folder, "password")
        password.write_text(PASSWORD)
        for path in (Path(folder), password):
            shutil.chown(path, user or os.geteuid())

        def run(program: str, *arguments: str) -> None:
            command = [str(POSTGRES[-1] / program), "-D", str(data), *arguments]
            output = subprocess.DEVNULL
            subprocess.run(command, user=user, cwd=folder, check=True, stdout=output, timeout=250)

        options = {"listen_addresses": "127.0.0.1", "port": port, "fsync": "off"}
        options["unix_socket_directories"] = folder
        told = " ".join(f"-c {name}={value}" for name, value in options.items())
        run("initdb", "-U", "dagster", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync")
        run("pg_ctl", "-w", "-s", "-l", str(Path(folder, "log")), "-o", told, "start")
        try:
            yield _connection(port)
        finally:
            run("pg_ctl", "-w", "-s", "-m", "immediate", "stop")


def _connection(port: int) -> dict[str, str]:
    told = {"hostname": "127.0.0.1", "db_name": "postgres", "username": "dagster"}
    told["password"] = PASSWORD
    variables = database_variables().items()
    return {variable: told[name] for name, variable in variables} | {"port": str(port)}


def _user() -> str | None:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user for it")


@pytest.fixture
def home(database: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a server, with the port of our PostgreSQL."""
    text = (SERVER / "dagster.yaml").read_text()
    assert "port: 5432" in text
    (tmp_path / "dagster.yaml").write_text(text.replace("5432", database["port"]))
    for name, value in database.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_what_runs_tell_is_stored_in_postgresql(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    with open_instance(settings) as instance:
        instance.report_runless_asset_event(AssetMaterialization("daily_report"))
    with DagsterInstance.from_config(str(home)) as again:
        assert again.get_latest_materialization_event(AssetKey("daily_report"))
        assert type(again.run_storage).__name__ == "PostgresRunStorage"
        assert PASSWORD not in again.info_str()
    assert not [path for path in settings.data_dir.rglob("*.db") if path.stat().st_size]


def test_dagster_validates_the_definitions_with_the_configuration_of_a_server(
    home: Path, settings: Settings
) -> None:
    assert InstanceRef.from_dir(str(home)).storage_data
    command = [str(BIN / "dagster"), "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location bsky_assets" in done.stderr + done.stdout
    assert "password" not in (done.stderr + done.stdout).lower()
