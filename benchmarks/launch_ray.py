"""A backfill on a Ray cluster of two nodes or more, with one node killed on the way.

    python -m benchmarks.launch_ray [--days 14] [--posts 20000] [--nodes 2]
        [--s3]

It needs the extra [ray].
"""

import sys
from functools import partial
from importlib.util import find_spec

from benchmarks.launch_backfill import (
    arguments,
    backfill,
    folder_of,
    in_force,
    launched,
    prepare,
    report,
)
from bsky_assets.contracts import FilteredPost
from bsky_assets.storage.lake import Lake
from testbed.ray_cluster import RayCluster, ray_cluster

BEFORE = 3
"""Filtered days that are made before a node is killed."""
VICTIM = "node1"
_SEEN: set[str] = set()
"""Jobs that were running before: one that has just begun is not done."""


def kill_one(cluster: RayCluster, before: int, lake: Lake) -> bool:
    """Kill a node that has work, once some partitions are made; whether it was done."""
    running = [job for job in cluster.jobs() if job["status"] == "RUNNING"]
    begun = [job for job in running if job["submission_id"] not in _SEEN]
    _SEEN.update(job["submission_id"] for job in running)
    there = [job for job in begun if job["driver_node_id"] not in (cluster.head(), None)]
    if not there or len(lake.days(FilteredPost)) < before:
        return False
    cluster.kill(VICTIM)
    print(f"killed {VICTIM}, which had begun with {there[0]['entrypoint']}", flush=True)
    return True


def main() -> int:
    chosen = arguments(__doc__)
    if find_spec("ray") is None:
        print("Ray is not installed; pip install '.[ray]'")
        return 2
    with folder_of(chosen) as folder:
        here, there = prepare(folder, chosen.days, chosen.posts)
        with (
            launched(chosen, "ray", there) as variables,
            ray_cluster(folder / "ray", nodes=chosen.nodes) as cluster,
            in_force({**variables, **cluster.environment}),
        ):
            disturb = partial(kill_one, cluster, min(BEFORE, chosen.days))
            outcome = backfill(chosen.days, disturb)
            print(f"{len(cluster.jobs())} jobs")
            return report("launch_ray", here, chosen, outcome)


if __name__ == "__main__":
    sys.exit(main())
