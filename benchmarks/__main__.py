"""`make bench`: run the benchmarks, or those named, one after the other.

Each is a module of its own that runs ours and its reference in one process and ends with a line
of JSON. This prints what they print.
"""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "wire_decode",
    "wire_receive",
    "wire_end_to_end",
    "wire_memory",
    "wire_quarantine",
    "archive_read",
    "archive_memory",
    "filters_chain",
    "filters_identification",
    "day_scale",
    "lake_month",
    "labelling_endpoint",
    "labelling_ledger",
    "estimating_simulated",
    "optimise_simulated",
    "student_scoring",
    "sampled_day",
    "news_gate",
    "news_search",
    "migrate_legacy_sqlite",
    "command_line",
)


def main() -> int:
    chosen = sys.argv[1:] or BENCHMARKS
    if unknown := [name for name in chosen if not Path(__file__).with_name(f"{name}.py").exists()]:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
        return 2
    statuses = []
    for name in chosen:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        statuses.append(subprocess.run(command, check=False).returncode)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
