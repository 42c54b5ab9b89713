"""A job on a real Ray cluster on loopback, where Ray is installed."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from bsky_assets.assets.consolidated_posts import consolidated_posts
from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.launching.day_to_launch import DAY, failure, lay_down, made, settings_with
from testbed.ray_cluster import RayCluster, ray_cluster

# Ray reads how it is let in when it is imported, so it is not imported before its cluster is there.
pytestmark = [
    pytest.mark.scenario,
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed here: see docs/deploy/ray.md"
    ),
]
SECRET = "hunter2-is-not-a-password"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path_factory.mktemp("ray"), nodes=1, cpus=2) as cluster:
        yield cluster


@pytest.mark.timeout(600)
def test_a_partition_is_made_by_a_job_that_is_told_no_secret(
    cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"BSKY_LAUNCHER": "ray", "BSKY_LLM_API_KEY": SECRET}
    with settings_with(monkeypatch, **cluster.environment, **variables) as settings:
        assert "nothing was collected on 2026-03-08" in failure(
            made(settings, consolidated_posts), "consolidated_posts"
        )
        lay_down(settings)
        assert made(settings, consolidated_posts).success
        partition = Lake.of(settings).current(ConsolidatedPost, DAY)
    assert partition
    assert partition.rows == 60
    jobs = [
        job for job in cluster.jobs() if "bsky_assets.launching.partition" in str(job["entrypoint"])
    ]
    assert len(jobs) == 2
    assert SECRET not in str(jobs)
