"""The English filter over posts of a generated day, against bare fastText on the same texts.

Ours is everything between a post's text inputs and the verdict: cleaning, scripts, identification,
word lists. The reference is the model's own `predict`, a text at a time, and nothing around it.
Both run in this process, in turns, and the least CPU time of each counts.
Usage: python -m benchmarks.filters_identification [POSTS]
"""

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fasttext
import pyarrow as pa

from benchmarks.day_posts import DAY, laid_down
from benchmarks.measuring import cpu_seconds, peak_mb, report
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.filters.batches import BATCH_ROWS
from bsky_assets.filters.config import BUILT_IN_LANGUAGE_MODEL
from bsky_assets.filters.posts import Posts, inputs
from bsky_assets.filters.registry import Sources, declared

TURNS = 3


def text_inputs(posts: int) -> list[pa.RecordBatch]:
    """The text inputs of so many posts."""
    with TemporaryDirectory() as folder:
        partition = laid_down(Path(folder), posts).current(RawFirehosePost, DAY)
        assert partition is not None
        return [inputs(batch) for batch in partition.batches(BATCH_ROWS)]


def filtered(batches: list[pa.RecordBatch]) -> int:
    """How many posts are English, by a filter that has seen none of them."""
    english = declared()[0].make(Sources(BUILT_IN_LANGUAGE_MODEL, {}))
    verdicts = (english.judge(Posts(batch)).passed for batch in batches)
    return sum(int(passed.true_count) for passed in verdicts)


def predicted(batches: list[pa.RecordBatch]) -> int:
    """How many texts fastText says are English."""
    model: Any = fasttext.load_model(str(BUILT_IN_LANGUAGE_MODEL))
    predict, found = model.f.predict, 0
    for batch in batches:
        for text in batch["text"].to_pylist():
            line = text.replace("\n", " ") + "\n"
            found += predict(line, 1, 0.0, "strict")[0][1] == "__label__en"
    return found


def main() -> None:
    posts = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    pa.set_cpu_count(1)
    batches = text_inputs(posts)
    ways = partial(filtered, batches), partial(predicted, batches)
    turns = [[cpu_seconds(way)[0] for way in ways] for _ in range(TURNS)]
    ours, bare = (min(figures) for figures in zip(*turns, strict=True))
    print(
        f"{posts:,} posts, {filtered(batches):,} of them English; fastText: {predicted(batches):,}"
    )
    print(f"filter {ours:.2f} CPU s, fastText alone {bare:.2f} CPU s: {ours / bare:.2f} times")
    report(
        "filters_identification",
        ratio=round(ours / bare, 2),
        microseconds_a_post=round(ours / posts * 1e6, 2),
        bare_microseconds_a_post=round(bare / posts * 1e6, 2),
        posts=posts,
        peak_memory_mb=peak_mb(),
    )


if __name__ == "__main__":
    main()
