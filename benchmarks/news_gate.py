"""How often the gate of news is right: calibrated on some seeds of the sandbox, measured on others.

python -m benchmarks.news_gate [SEEDS [EVENTS [VECTORS [MODEL]]]]

VECTORS are those of the sandbox, of the `package` of the extra, or of an endpoint at a URL.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import peak_mb, report
from bsky_assets.labelling.embedding.packaged import Packaged
from bsky_assets.news.calibrating import Pair, calibrate
from bsky_assets.news.gate import USUAL, Gate
from testbed.news_days import make_news_day

SANDBOX, PACKAGE = "sandbox", "package"
DAYS_AND_EVENTS = ("8", "20000")
FIRST_TO_LEARN, FIRST_TO_MEASURE = 101, 501


def options_of(vectors: str = SANDBOX, model: str | None = None) -> dict[str, str | None]:
    """The settings that say what makes vectors."""
    if vectors == SANDBOX:
        return {}
    url = None if vectors == PACKAGE else vectors
    return {"embeddings_base_url": url, "embeddings_model": model}


def days(
    first: int, seeds: int, events: int, options: Mapping[str, str | None]
) -> Iterator[tuple[int, list[Pair]]]:
    """A day of each of so many seeds from `first` on: posts that an article reported the event of,
    and pairs."""
    for seed in range(first, first + seeds):
        with TemporaryDirectory() as folder:
            day = make_news_day(Path(folder), seed, events, **options)
            yield len(day.news.reported), day.pairs()


def right_and_wrong(gate: Gate, judged: Iterable[tuple[int, list[Pair]]]) -> dict[str, float]:
    """Posts that `gate` tells of an article, how many of them rightly, and how many there are."""
    told = right = reported = 0
    for count, pairs in judged:
        reported += count
        through = [pair for pair in pairs if gate.opens(pair.distance, pair.margin)]
        told += len(through)
        right += sum(pair.is_about for pair in through)
    shares = {"precision": right / max(told, 1), "recall": right / max(reported, 1)}
    return {
        **{name: round(share, 3) for name, share in shares.items()},
        "told": told,
        "right": right,
        "reported": reported,
        "largest_distance": gate.largest_distance,
        "least_margin": gate.least_margin,
    }


def main(arguments: Sequence[str] = ()) -> None:
    """Calibrate on some days; measure on as many others by that, and as the gate is without."""
    seeds, events = (int(one) for one in (*arguments[:2], *DAYS_AND_EVENTS[len(arguments) :]))
    started, options = time.monotonic(), options_of(*arguments[2:])
    usual = USUAL[Packaged.name] if arguments[2:3] == [PACKAGE] else Gate()
    learnt = [pair for _, pairs in days(FIRST_TO_LEARN, seeds, events, options) for pair in pairs]
    others = [*days(FIRST_TO_MEASURE, seeds, events, options)]
    report(
        "news_gate",
        vectors=" ".join(arguments[2:]) or SANDBOX,
        **right_and_wrong(calibrate(learnt), others),
        uncalibrated=right_and_wrong(usual, others),
        seconds=round(time.monotonic() - started, 1),
        peak_mb=peak_mb(),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
