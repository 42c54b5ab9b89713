"""CPU of the whole chain over a day of posts, against fastText language identification alone.

Both run over the same texts, each in processes of its own, in turns. The chain's figure holds
everything from reading the consolidated posts to the written partition of filtered posts; the
other is `predict` over the texts, as a list, and nothing else. Both may keep the bytecode of what
they import, as Python does unless told otherwise. The sandbox repeats itself more than people do:
with --no-repeats the words of each text are shuffled, so that hardly any text comes twice.
Usage: python -m benchmarks.filters_chain [POSTS [SHARE OF ENGLISH]] [--no-repeats]
"""

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from benchmarks.day_scale import Watcher, compiled
from benchmarks.measuring import report
from bsky_assets.contracts import ConsolidatedPost, arrow_schema
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import synctimestamp
from bsky_sandbox.writing import Writer

DAY = date(2026, 3, 8)
CHUNK = 20_000
LANGUAGES = ("ja", "pt", "de", "es", "fr", "ko", "nl", "tr", "id", "pl", "ru", "th", "zh", "it")
WEIGHTS = (36, 16, 8, 8, 6, 5, 3, 3, 3, 2, 3, 3, 2, 2)

CHAIN = """
import sys, resource, json, datetime, duckdb
from pathlib import Path
from bsky_assets.filters.chain import filter_day
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake

def main():
    folder = Path(sys.argv[1])
    con = duckdb.connect()
    con.execute("SET memory_limit = '400MB'; SET enable_progress_bar = false; SET threads = 2")
    con.execute(f"SET temp_directory = '{folder / 'spill'}'")
    partition = filter_day(
        con, Lake(folder / "lake"), datetime.date(2026, 3, 8), Settings(data_dir=folder)
    )
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    print(json.dumps({"cpu": cpu, "posts": partition.rows, "passed": partition.details["passed"]}))

if __name__ == "__main__":
    main()
"""

ALONE = """
import sys, resource, json
import fasttext
import pyarrow.compute as pc
import pyarrow.parquet as pq
from bsky_assets.filters.config import BUILT_IN_LANGUAGE_MODEL

model = fasttext.load_model(str(BUILT_IN_LANGUAGE_MODEL))
for batch in pq.ParquetFile(sys.argv[1]).iter_batches(50_000, columns=["record.text"]):
    texts = pc.replace_substring(pc.struct_field(batch["record"], "text"), "\\n", " ")
    model.predict(texts.to_pylist())
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime}))
"""


def posts(count: int, english: float, repeats: bool = True) -> Iterator[pa.Table]:
    """Posts as they come on a day, in chunks."""
    rng = random.Random(1)
    writer = Writer(rng, 5)
    began = datetime(2026, 3, 8, 6, tzinfo=UTC)
    for start in range(0, count, CHUNK):
        rows: list[dict[str, Any]] = []
        for number in range(start, min(start + CHUNK, count)):
            written = _written(writer, rng, english)
            at = began + timedelta(seconds=number * 86_000 / count)
            did = _author(rng, count)
            rows.append(
                {
                    "uri": f"at://{did}/app.bsky.feed.post/3k{number:011x}",
                    "cid": f"bafyrei{number:052x}",
                    "indexed_at": at,
                    "author": {"did": did, "handle": None, "display_name": None, "avatar": None},
                    "metadata": {
                        "synctimestamp": synctimestamp(at),
                        "url": None,
                        "source": "firehose",
                        "source_feeds": ["firehose"],
                        "processed_timestamp": at,
                    },
                    "record": {
                        "created_at": at.isoformat(),
                        "text": written.text if repeats else _shuffled(written.text, rng),
                        "langs": [written.language],
                        "py_type": "app.bsky.feed.post",
                    },
                    "metrics": None,
                    "applied_labels": [],
                }
            )
        yield pa.Table.from_pylist(rows, schema=arrow_schema(ConsolidatedPost))


def _shuffled(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    rng.shuffle(words)
    return " ".join(words)


def _author(rng: random.Random, posts: int) -> str:
    """A few accounts post a lot, the most of them seldom."""
    often = rng.random() < 0.2
    number = int(rng.paretovariate(0.6)) if often else rng.randrange(posts)
    return f"did:plc:{number:024x}"


def _written(writer: Writer, rng: random.Random, english: float) -> Any:
    chance = rng.random()
    if chance < 0.02:
        return writer.spam()
    if chance < 0.03:
        return writer.nsfw("en")
    if chance < 0.035:
        return writer.hate()
    language = "en" if rng.random() < english else rng.choices(LANGUAGES, WEIGHTS)[0]
    return writer.person(language, reply=rng.random() < 0.4)


def run(script: str, *arguments: str) -> tuple[dict[str, Any], float, float]:
    """What a script printed, its wall seconds, and the peak of memory of it and its children."""
    began = time.monotonic()
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=compiled())
    watcher = Watcher(process.pid, Path(arguments[0]) / "spill")
    output, _ = process.communicate()
    watcher.stop()
    if process.returncode:
        raise SystemExit(f"failed: {output}")
    return json.loads(output.splitlines()[-1]), time.monotonic() - began, watcher.peak


def main() -> None:
    numbers = [argument for argument in sys.argv[1:] if argument != "--no-repeats"]
    repeats = len(numbers) == len(sys.argv) - 1
    count = int(numbers[0]) if numbers else 1_000_000
    english = float(numbers[1]) if len(numbers) > 1 else 0.4
    with TemporaryDirectory() as folder:
        chunks = posts(count, english, repeats)
        first = next(chunks)
        rest = pa.RecordBatchReader.from_batches(
            first.schema,
            (batch for table in itertools.chain([first], chunks) for batch in table.to_batches()),
        )
        path = Lake(Path(folder, "lake")).write(ConsolidatedPost, DAY, rest).path
        print(f"{count:,} posts, {english:.0%} English, {path.stat().st_size / 1e6:.0f} MB")
        alone, chain = [], []
        peak = 0.0
        for _ in range(2):
            figures, wall, _ = run(ALONE, str(path))
            alone.append(figures["cpu"])
            print(f"fastText alone: {figures['cpu']:.1f} CPU s, {wall:.1f} s")
            figures, wall, used = run(CHAIN, folder)
            chain.append(figures["cpu"])
            peak = max(peak, used)
            print(
                f"chain: {figures['cpu']:.1f} CPU s, {wall:.1f} s ({figures['cpu'] / wall:.2f} of "
                f"{os.cpu_count()} cores), {used / 1e6:.0f} MB, {figures['passed']:,} passed"
            )
    report(
        "filters_chain",
        posts=count,
        repeats=repeats,
        ratio=round(min(chain) / min(alone), 2),
        chain_cpu_seconds=round(min(chain), 1),
        fasttext_cpu_seconds=round(min(alone), 1),
        peak_memory_mb=round(peak / 1e6),
    )


if __name__ == "__main__":
    main()
