"""How much memory collecting takes, and whether it grows: events from a relay into segments.

The collector's code reads from a relay on loopback in a process of its own; what that process
held at most is asked for at each mark, and its peak may rise by a tenth at most after the first.
Usage: python -m benchmarks.wire_memory [EVENTS…]; by default at 100,000, 500,000 and 2,000,000.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import report
from benchmarks.wire_server import serving
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.contracts.progress import Progress
from bsky_assets.settings import Settings

MARKS = (100_000, 500_000, 2_000_000)
MOST_GROWTH = 1.1
MOST_MB = 400


def collect(url: str, marks: Sequence[int], folder: Path) -> None:
    """Read as many events as the last of `marks`; print what was held at most at each."""
    left = list(marks)

    def tell(progress: Progress) -> None:
        if left and progress.done >= left[0]:
            print(left.pop(0), peak_mb(), flush=True)

    report = sync_firehose(
        Settings(data_dir=folder, relay_url=url), Limits(max_events=marks[-1]), progress=tell
    )
    for mark in left:
        print(mark, peak_mb())
    print(report.events, report.rows["posts"], report.segments)


def peak_mb() -> int:
    """What this process held at most: `ru_maxrss` would begin with what its parent held."""
    status = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return round(int(peak) / 1024)


def main() -> None:
    marks = [int(argument) for argument in sys.argv[1:]] or list(MARKS)
    with serving(marks[-1]) as relay, TemporaryDirectory() as folder:
        began = time.monotonic()
        command = [sys.executable, "-m", __spec__.name, "--one", relay.url, folder]
        ran = subprocess.run(
            [*command, *map(str, marks)], stdout=subprocess.PIPE, check=True, timeout=1200
        )
        seconds = time.monotonic() - began
    *lines, (events, posts, segments) = (
        tuple(map(int, line.split())) for line in ran.stdout.splitlines()
    )
    peaks = dict(lines)
    for mark, peak in peaks.items():
        print(f"{mark:9,} events: {peak} MB at most")
    print(f"{posts:,} posts in {segments:,} segments, {events / seconds:,.0f} events/s")
    growth = peaks[marks[-1]] / peaks[marks[0]]
    report(
        "wire_memory",
        ratio=round(growth, 3),
        **{f"peak_mb_at_{mark}": peak for mark, peak in peaks.items()},
        seconds=round(seconds, 1),
        peak_memory_mb=peaks[marks[-1]],
    )
    sys.exit(0 if growth <= MOST_GROWTH and peaks[marks[-1]] < MOST_MB else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _, _, url, folder, *marks = sys.argv
        collect(url, [int(mark) for mark in marks], Path(folder))
    else:
        main()
