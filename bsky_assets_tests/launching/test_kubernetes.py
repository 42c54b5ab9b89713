"""Partitions made in pods: the pod that is asked for, and what is done when it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterEventType
from dagster_k8s.pipes import build_pod_body
from kubernetes.client import ApiClient, V1PodSpec
from kubernetes.config import kube_config

from bsky_assets.assets.consolidated_posts import consolidated_posts
from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.errors import UserError
from bsky_assets.launching.jobs import job_of
from bsky_assets.launching.kubernetes import load_manifest, pod_spec
from bsky_assets.orchestration import launcher
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.launching.day_to_launch import DAY, lay_down, made, settings_with
from bsky_assets_tests.launching.kubernetes_api import Pods, kubernetes_api
from bsky_assets_tests.support.places import ROOT

pytestmark = pytest.mark.scenario

MANIFEST = ROOT / "docs" / "deploy" / "kubernetes" / "partition_pod.yaml"
SECRET = "hunter2-is-not-a-password"


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    monkeypatch.setattr(launcher, "LOST_SECONDS", 0)
    with kubernetes_api(tmp_path) as (pods, kubeconfig):
        # As KUBECONFIG does, which the client reads when it is imported.
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
        yield pods


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    variables = {"BSKY_LAUNCHER": "kubernetes", "BSKY_K8S_POD": str(MANIFEST)}
    with settings_with(monkeypatch, **variables, BSKY_LLM_API_KEY=SECRET) as settings:
        yield settings


def test_the_pod_is_one_that_kubernetes_knows_every_field_of(launched: Settings) -> None:
    job = job_of("llm_labels", DAY, launched, "python")
    manifest = load_manifest(launched.k8s_pod)
    pod = build_pod_body(
        "a-pod", None, None, job.variables, manifest["metadata"], pod_spec(manifest, job)
    )
    assert isinstance(pod.spec, V1PodSpec)
    body = ApiClient().sanitize_for_serialization(pod)
    (container,) = body["spec"]["containers"]
    assert container["command"] == [
        "python", "-m", "bsky_assets.launching.partition", "llm_labels", "2026-03-08"
    ]  # fmt: skip
    given = {each["name"]: each["value"] for each in container["env"]}
    assert given["BSKY_DATA_DIR"] == str(launched.data_dir)
    assert container["envFrom"] == [{"secretRef": {"name": "bsky"}}]
    assert body["spec"]["restartPolicy"] == "Never"
    assert SECRET not in str(body)


def test_a_partition_is_made_in_a_pod_and_a_lost_pod_is_started_again(
    pods: Pods, launched: Settings
) -> None:
    lay_down(launched)
    pods.lose = 1
    run = made(launched, consolidated_posts)
    assert run.success
    partition = Lake.of(launched).current(ConsolidatedPost, DAY)
    assert partition
    assert partition.rows == 60
    retries = [e for e in run.all_events if e.event_type is DagsterEventType.STEP_UP_FOR_RETRY]
    assert len(retries) == 1
    names = [body["metadata"]["name"] for body in pods.bodies]
    assert len(names) == 2
    assert pods.deleted == names


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_that_comes_again_is_told_in_one_line_and_not_tried_again(
    pods: Pods, launched: Settings, status: int
) -> None:
    lay_down(launched)
    pods.refusals = [status] * 3
    run = made(launched, consolidated_posts)
    assert not run.success
    assert pods.refused == 1
    assert pods.bodies == []
    (failed,) = (e for e in run.all_events if e.event_type is DagsterEventType.STEP_FAILURE)
    error = failed.step_failure_data.error
    assert error is not None
    line = error.message.strip()
    assert "Kubernetes refuses the pod" in line
    assert "it does not suit us" in line
    assert "\n" not in line
    assert "\x1b" not in line


@pytest.mark.parametrize("statuses", [[409, 429], [500, 503]])
def test_a_refusal_that_may_pass_is_tried_again(
    pods: Pods, launched: Settings, statuses: list[int]
) -> None:
    lay_down(launched)
    pods.refusals = statuses[:]
    assert made(launched, consolidated_posts).success
    assert pods.refused == 2
    assert len(pods.bodies) == 1


def test_a_manifest_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    cases = {
        "kind: Job": "no manifest with kind: Pod",
        "kind: Pod\nspec: {containers: [{name: x}]}": "names no image",
        "kind: Pod\nspec: {restartPolicy: Always, containers: [{image: x}]}": "Never",
        "kind: [": "cannot be read",
    }
    for text, message in cases.items():
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            load_manifest(path)
    with pytest.raises(UserError, match="BSKY_K8S_POD"):
        load_manifest(None)
