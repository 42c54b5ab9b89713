"""Pods of Kubernetes, through dagster-k8s' Pipes client.

The manifest is the user's: image, resources, volumes, and the Secret that keys come from. Only
command and settings are put into its first container; secrets are not, since a pod can be read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dagster import AssetExecutionContext
from dagster._core.errors import DagsterExecutionInterruptedError

from bsky_assets.console import one_line
from bsky_assets.errors import UserError
from bsky_assets.launching.jobs import Ended, Job, KeepsReports
from bsky_assets.settings import Settings

_FINAL = {400, 401, 403, 404, 422}
"""HTTP statuses of refusals that come again: a manifest that is wrong, or no right to make pods."""


def run(context: AssetExecutionContext, job: Job, settings: Settings) -> Ended:
    """Run `job` in a pod and wait for its end; the pod is removed, whatever came of it.

    Raises:
        UserError: dagster-k8s is not installed here, or the manifest cannot be used or is refused.
    """
    try:
        from dagster_k8s import PipesK8sClient
        from dagster_k8s.pipes import PipesK8sPodLogsMessageReader
        from kubernetes.client import ApiException
        from kubernetes.config import ConfigException
    except ImportError as error:
        raise UserError(
            f"BSKY_LAUNCHER is kubernetes, and dagster-k8s is not installed ({error}); "
            "install it with pip install -c constraints.txt -e '.[k8s]'"
        ) from None

    class Reader(KeepsReports, PipesK8sPodLogsMessageReader):
        pass

    manifest = load_manifest(settings.k8s_pod)
    reader = Reader()
    try:
        PipesK8sClient(message_reader=reader).run(
            context=context,
            namespace=manifest["metadata"].get("namespace"),
            env=job.variables,
            base_pod_meta=manifest["metadata"],
            base_pod_spec=pod_spec(manifest, job),
        )
    except DagsterExecutionInterruptedError:
        raise
    except ConfigException as error:
        raise UserError(f"no Kubernetes cluster is configured here: {error}") from None
    except ApiException as error:
        if error.status in _FINAL:
            raise UserError(
                f"Kubernetes refuses the pod: {error.reason}: {one_line(error.body)[:500]}"
            ) from None
        return reader.ended(f"{error.status} {error.reason}")
    except Exception as error:
        return reader.ended(f"{type(error).__name__}: {error}")
    return reader.ended()


def load_manifest(path: Path | None) -> dict[str, Any]:
    """The manifest of a pod, as one writes it for kubectl.

    Raises:
        UserError: there is none, or it is not one of a pod that can run to its end.
    """
    if path is None:
        raise UserError(
            "BSKY_LAUNCHER is kubernetes, and BSKY_K8S_POD names no manifest of a pod; "
            "docs/deploy/kubernetes/partition_pod.yaml is one to begin with"
        )
    try:
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"BSKY_K8S_POD: {path} cannot be read: {error}") from None
    for problem in _problems(manifest):
        raise UserError(f"BSKY_K8S_POD: {path} {problem}")
    return {"metadata": manifest.get("metadata") or {}, "spec": manifest["spec"]}


def _problems(manifest: Any) -> list[str]:
    if not isinstance(manifest, Mapping) or manifest.get("kind") != "Pod":
        return ["is no manifest with kind: Pod"]
    containers = (manifest.get("spec") or {}).get("containers") or [{}]
    if not containers[0].get("image"):
        return ["names no image in spec.containers[0]"]
    if (manifest["spec"]).get("restartPolicy", "Never") != "Never":
        return ["must have restartPolicy: Never; Dagster starts a lost pod again"]
    return []


def pod_spec(manifest: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """The spec of the pod that runs `job`; the variables are put in by dagster-k8s."""
    first, *others = manifest["spec"]["containers"]
    return {**manifest["spec"], "containers": [{**first, "command": job.command}, *others]}
