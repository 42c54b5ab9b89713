"""What a command costs before it does anything: CPU seconds of ours against a bare process.

The reference of help and completion is Python itself; that of a query is DuckDB asked the same.
Each is run several times and the least is taken: what else the machine does adds, never takes.
Exit status 1 where one takes more than it may.
"""

import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measuring import children_cpu_seconds, peak_mb, report

RUNS = 5
OURS = [sys.executable, "-c", "from bsky_assets.cli import main; main()"]
BARE = [sys.executable, "-c", "pass"]
DUCKDB = [sys.executable, "-c", "import duckdb; print(duckdb.connect().sql('SELECT 1'))"]
COMPLETING = {
    "_BSKY_ASSETS_COMPLETE": "complete_bash",
    "COMP_WORDS": "bsky-assets que",
    "COMP_CWORD": "1",
}
CASES = {
    "help": (["--help"], {}, BARE, 0.5),
    "help_of_labels": (["labels", "--help"], {}, BARE, 0.5),
    "version": (["--version"], {}, BARE, 0.5),
    "typo": (["staus"], {}, BARE, 0.5),
    "completion": ([], COMPLETING, BARE, 0.5),
    "query": (["query", "SELECT 1"], {}, DUCKDB, 1.0),
    "status": (["status"], {}, DUCKDB, 1.0),
}


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """The least of several runs, of the process and its children."""
    run = partial(subprocess.run, command, env=environment, capture_output=True, check=False)
    return min(children_cpu_seconds(run)[0] for _ in range(RUNS))


def main() -> int:
    is_within = True
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "BSKY_DATA_DIR": str(Path(folder, "data"))}
        subprocess.run([*OURS, "query", "SELECT 1"], env=environment, check=True)  # the catalogue
        for name, (arguments, variables, reference, most) in CASES.items():
            ours = cpu_seconds([*OURS, *arguments], environment | variables)
            theirs = cpu_seconds(reference, environment)
            report(
                f"command_line_{name}",
                ratio=round(ours / theirs, 2),
                cpu_seconds=round(ours, 3),
                reference_cpu_seconds=round(theirs, 3),
                at_most_cpu_seconds=most,
                peak_mb=peak_mb(resource.RUSAGE_CHILDREN),
            )
            is_within &= ours <= most
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())
