"""A backfill on Slurm's own daemons, with one job cancelled on the way.

    python -m benchmarks.launch_slurm [--days 14] [--posts 20000] [--nodes 2]
        [--s3]

It needs Debian's packages slurmctld, slurmd, slurm-client and munge.
"""

import sys
from functools import partial

from benchmarks.launch_backfill import (
    arguments,
    backfill,
    folder_of,
    in_force,
    launched,
    prepare,
    report,
)
from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.storage.lake import Lake
from testbed.slurm_cluster import missing_programs, slurm, slurm_cluster

BEFORE = 3
"""Partitions that are made before a job is cancelled."""


def cancel_one(before: int, lake: Lake) -> bool:
    """Cancel a running job, or task, once some partitions are made; whether it was done."""
    if len(lake.days(ConsolidatedPost)) < before:
        return False
    found = slurm("squeue", "--noheader", "--states=RUNNING", "--format=%i %j %N")
    jobs = sorted(found.splitlines(), key=lambda line: int(line.split()[0]))
    if not jobs:
        return False
    job, name, node = jobs[-1].split()  # the one that began last
    slurm("scancel", job)
    print(f"cancelled job {job}, {name}, on {node}", flush=True)
    return True


def main() -> int:
    chosen = arguments(__doc__)
    if missing := missing_programs():
        print(f"not installed: {', '.join(missing)}; see docs/deploy/slurm.md")
        return 2
    with folder_of(chosen) as folder:
        here, there = prepare(folder, chosen.days, chosen.posts)
        with (
            launched(chosen, "slurm", there) as variables,
            slurm_cluster(folder / "slurm", chosen.nodes) as cluster,
            in_force({**variables, **cluster}),
        ):
            outcome = backfill(chosen.days, partial(cancel_one, min(BEFORE, chosen.days)))
            print(slurm("sinfo", "--Node", "--long", "--noheader").strip())
            return report("launch_slurm", here, chosen, outcome)


if __name__ == "__main__":
    sys.exit(main())
