"""A codebook as a component: `dg` scaffolds it, and its asset is the one of `codebook add`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    load_from_defs_folder,
    materialize,
)

from bsky_assets.definitions import build_defs
from bsky_assets.settings import get_settings
from bsky_assets_tests.support.codebooks import TOXIC, read_off
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint
from bsky_assets_tests.support.places import ROOT
from bsky_assets_tests.support.sandbox_day import plain_environment
from bsky_assets_tests.support.scratch_copy import scratch_copy
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]

TYPE = "bsky_assets.components.CodebookComponent"
LABELS = AssetKey("labels_toxic")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with served(FakeEndpoint(read_off).app()) as url:
        monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("BSKY_LLM_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("BSKY_LLM_MODELS", "fake")
        get_settings.cache_clear()
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        texts = [f"Post {n} toxic={'yes' if n % 3 else 'no'}" for n in range(6)]
        lab.filtered(filtered_post(n, text, is_english=True) for n, text in enumerate(texts))
        yield lab
    get_settings.cache_clear()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster project of somebody's own, as Dagster's own commands make them."""
    folder = tmp_path / "project"
    package = folder / "elsewhere"
    (package / "defs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "elsewhere"\n'
    )
    for path in (package / "__init__.py", package / "defs" / "__init__.py"):
        path.touch()
    (package / "definitions.py").write_text(
        "from pathlib import Path\n\nimport dagster\n\n\n@dagster.definitions\n"
        "def defs() -> dagster.Definitions:\n"
        "    return dagster.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    monkeypatch.syspath_prepend(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "elsewhere"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def dg(folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command of Dagster's prints in a project that Python finds; it must succeed."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dg"), *words],
        cwd=folder,
        env={**(environment or os.environ), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def made(definitions: Definitions) -> ExecuteInProcessResult:
    return materialize(
        [definitions.resolve_assets_def(LABELS)],
        partition_key=DAY.isoformat(),
        instance=DagsterInstance.ephemeral(),
    )


def test_a_project_of_ones_own_has_a_codebook_by_a_yaml_file(
    lab: Lab, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dg(project, "scaffold", "defs", TYPE, "toxic", "--type", "boolean")
    folder = project / "elsewhere" / "defs" / "toxic"
    assert {path.name for path in folder.iterdir()} == {"defs.yaml", "toxic.toml"}
    empty = load_from_defs_folder(path_within_project=project)
    assert not empty.resolve_asset_graph().has(LABELS)
    assert "toxic.toml: question: is empty; write it" in caplog.text
    (folder / "toxic.toml").write_text(TOXIC)
    definitions = load_from_defs_folder(path_within_project=project)
    assert not lab.settings.codebooks_dir.exists(), "loading changes nothing"
    done = made(definitions)
    (told,) = done.asset_materializations_for_node(LABELS.to_user_string())
    assert "Label shares" in str(told.metadata["shares"].value)
    outcomes = {one.check_name: one.passed for one in done.get_asset_check_evaluations()}
    assert outcomes["labels_cover_all_passed_posts"]
    assert outcomes["request_contains_the_post"]
    with duckdb.connect(str(lab.settings.catalogue_path), read_only=True) as con:
        rows = con.sql("SELECT uri, answer FROM labels_toxic").fetchall()
    assert dict(rows) == {filtered_post(n, "")["uri"]: n % 3 > 0 for n in range(6)}
    platform = build_defs(get_settings()).resolve_asset_graph().get(LABELS)
    own = definitions.resolve_asset_graph().get(LABELS)
    assert own.code_version == platform.code_version, "it is the asset of `codebook add`"
    assert own.partitions_def == platform.partitions_def
    assert own.description == platform.description
    (folder / "toxic.toml").write_text(TOXIC.replace("attacks somebody", "insults somebody"))
    changed = load_from_defs_folder(path_within_project=project)
    assert changed.resolve_asset_graph().get(LABELS).code_version != own.code_version
    (folder / "toxic.toml").write_text(TOXIC.replace("boolean", "several_of"))
    with pytest.raises(Exception, match="answers that are stored are of another type"):
        made(load_from_defs_folder(path_within_project=project))


def test_a_codebook_scaffolded_in_the_checkout_is_one_of_the_platform(tmp_path: Path) -> None:
    copy = scratch_copy(tmp_path)
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    environment = plain_environment() | {"BSKY_DATA_DIR": str(tmp_path / "data")}
    listed = dg(tmp_path, "list", "components", environment=environment)
    assert TYPE in listed.replace("\n", "")
    dg(tmp_path, "scaffold", "defs", TYPE, "toxic", environment=environment)
    (copy.folder / "bsky_assets" / "defs" / "toxic" / "toxic.toml").write_text(TOXIC)
    told = dg(tmp_path, "list", "defs", "--json", environment=environment)
    assets = {one["asset_key"]: one for one in json.loads(told[told.index("{") :])["assets"]}
    assert "labels_toxic" in assets["daily_report"]["dependency_keys"]
    assert assets["labels_toxic"]["is_executable"]
    assert "filtered_posts" in assets["labels_toxic"]["dependency_keys"]
    assert assets["filtered_posts"]["is_executable"]
