"""How often the gate of news is right: calibrated on some seeds of the sandbox, measured on others.

python -m benchmarks.news_gate [SEEDS [EVENTS]]
"""

import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bsky_assets.news.calibrating import calibrate
from bsky_assets.news.gate import Gate
from testbed.news_days import NewsDay, make_news_day

FIRST_TO_LEARN, FIRST_TO_MEASURE = 101, 501


def days(first: int, seeds: int, events: int) -> Iterator[NewsDay]:
    """A day of each of so many seeds from `first` on."""
    for seed in range(first, first + seeds):
        with TemporaryDirectory() as folder:
            yield make_news_day(Path(folder), seed, events)


def right_and_wrong(gate: Gate, judged: Iterable[NewsDay]) -> dict[str, int]:
    """Posts that `gate` tells of an article, how many of them rightly, and how many there are."""
    told = right = reported = 0
    for day in judged:
        reported += len(day.news.reported)
        through = [pair for pair in day.pairs() if gate.opens(pair.distance, pair.margin)]
        told += len(through)
        right += sum(pair.is_about for pair in through)
    return {"told": told, "right": right, "reported": reported}


def main(seeds: int = 8, events: int = 20_000) -> None:
    """Calibrate on `seeds` days and measure on as many others; print one line of JSON."""
    started = time.monotonic()
    learnt = [pair for day in days(FIRST_TO_LEARN, seeds, events) for pair in day.pairs()]
    gate = calibrate(learnt)
    found = right_and_wrong(gate, days(FIRST_TO_MEASURE, seeds, events))
    told = {
        "name": "news_gate",
        "largest_distance": gate.largest_distance,
        "least_margin": gate.least_margin,
        "precision": round(found["right"] / max(found["told"], 1), 3),
        "recall": round(found["right"] / max(found["reported"], 1), 3),
        **found,
        "seconds": round(time.monotonic() - started, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
