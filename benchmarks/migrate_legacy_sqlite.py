"""Migrating the old firehose table: `bsky-assets migrate legacy-sqlite` against row by row.

The reference does what the author's script did: it reads the table into objects, builds JSON of
each row's record and metadata, and inserts them in batches of 1,000 into a second table. Ours
brings the same table into the lake, lists as lists and embeds as structs, and accounts for each
row. Both in processes of their own, one after the other. The ratio is of CPU time, since other
work may share the machine.
Usage: python -m benchmarks.migrate_legacy_sqlite [ROWS]
"""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from benchmarks.measuring import report
from testbed.legacy import COLUMNS

DAYS = 30
WORDS = [f"word{number}" for number in range(2000)]

REFERENCE = """
import json, sqlite3, sys
from types import SimpleNamespace

con = sqlite3.connect(sys.argv[1])
con.execute("CREATE TABLE records_tmp (uri UNIQUE, cid, author, metadata, record)")
cursor = con.execute("SELECT * FROM transformedrecordwithauthor")
names = [column[0] for column in cursor.description]
records = [SimpleNamespace(**dict(zip(names, row))) for row in cursor]
RECORD = ("created_at", "text", "embed", "langs", "entities", "facets", "labels", "reply",
          "reply_parent", "reply_root", "tags", "py_type")
for start in range(0, len(records), 1000):
    prepared = []
    for record in records[start:start + 1000]:
        prepared.append({
            "uri": record.uri,
            "cid": record.cid,
            "author": record.author,
            "metadata": json.dumps({"synctimestamp": record.synctimestamp}),
            "record": json.dumps({name: getattr(record, name) for name in RECORD}),
        })
    with con:
        con.executemany(
            "INSERT INTO records_tmp VALUES (:uri, :cid, :author, :metadata, :record)", prepared
        )
(count,) = con.execute("SELECT count(*) FROM records_tmp").fetchone()
assert count == len(records)
"""


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """Rows as the old code wrote them, over `DAYS` days."""
    rng = random.Random(1)
    for number in range(count):
        did = f"did:plc:{number % 40_000:024d}"
        day, hour = divmod(number * DAYS * 24 // count, 24)
        post = {
            "uri": f"at://{did}/app.bsky.feed.post/3k{number:011d}",
            "created_at": f"2024-03-{day + 1:02d}T{hour:02d}:14:58.123Z",
            "text": " ".join(rng.choices(WORDS, k=rng.randint(1, 30))),
            "embed": embed(rng),
            "langs": rng.choice(("en", "ja", "en;es", None)),
            "facets": "tag:news;link:https://a.test/?x=1" if rng.random() < 0.2 else None,
            "py_type": "app.bsky.feed.post",
            "cid": f"bafyrei{number:052d}",
            "author": did,
            "synctimestamp": f"2024-03-{day + 1:02d}-{hour:02d}:15:00",
        }
        if rng.random() < 0.4:
            post["reply_parent"] = post["reply_root"] = f"at://{did}/app.bsky.feed.post/3kroot"
        yield tuple(post.get(column) for column in COLUMNS)


def embed(rng: random.Random) -> str | None:
    """An embed, for three posts in ten."""
    kind = rng.random()
    if kind > 0.3:
        return None
    parts: dict[str, Any] = {
        "has_image": kind < 0.15,
        "image_alt_text": "a cat;a dog" if kind < 0.15 else None,
        "has_embedded_record": False,
        "embedded_record": None,
        "has_external": kind >= 0.15,
        "external": None,
    }
    if kind >= 0.15:
        card = {"description": "about", "title": "A title", "uri": "https://a.test/story"}
        parts["external"] = json.dumps(card)
    return json.dumps(parts)


def write_database(path: Path, count: int) -> None:
    with sqlite3.connect(path) as con:
        types = ", ".join(f"{column} TEXT" for column in COLUMNS)
        con.execute(f"CREATE TABLE transformedrecordwithauthor (id INTEGER PRIMARY KEY, {types})")
        con.executemany(
            f"INSERT INTO transformedrecordwithauthor ({', '.join(COLUMNS)}) "
            f"VALUES ({', '.join('?' * len(COLUMNS))})",
            rows(count),
        )
        con.execute("CREATE UNIQUE INDEX uris ON transformedrecordwithauthor (uri)")
    con.close()


@dataclass(frozen=True)
class Used:
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_memory_mb: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:.1f} s, {self.cpu_seconds:.1f} s of CPU, {self.peak_memory_mb:.0f} MB"
        )


def run(command: list[str], environment: dict[str, str]) -> Used:
    """Run a process to its end, which must be a good one."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command[1:3])} ended with status {process.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return Used(time.monotonic() - began, cpu, usage.ru_maxrss / 1e3)


def counted(data: Path) -> int:
    """How many rows the catalogue has of the migrated table, stored or quarantined."""
    with duckdb.connect(str(data / "bsky.duckdb"), read_only=True) as con:
        (found,) = con.sql(
            "SELECT (SELECT count(*) FROM raw_firehose_posts) + (SELECT count(*) FROM quarantine)"
        ).fetchall()
    return int(found[0])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with TemporaryDirectory() as folder:
        old, data = Path(folder, "old.db"), Path(folder, "data")
        write_database(old, count)
        copy = Path(shutil.copy(old, Path(folder, "copy.db")))
        print(f"{count:,} rows, {old.stat().st_size / 1e6:.0f} MB", flush=True)
        environment = {"PATH": "", "BSKY_DATA_DIR": str(data)}
        theirs = run([sys.executable, "-c", REFERENCE, str(copy)], environment)
        print(f"row by row: {theirs}", flush=True)
        command = [sys.executable, "-m", "bsky_assets", "migrate", "legacy-sqlite", str(old)]
        ours = run(command, environment)
        found = counted(data)
        print(f"migrate legacy-sqlite: {ours}; {found:,} rows stored or in quarantine")
        if found != count:
            raise SystemExit(f"{count - found:,} rows are missing")
    report(
        "migrate_legacy_sqlite",
        rows=count,
        ratio=round(theirs.cpu_seconds / ours.cpu_seconds, 2),
        reference_cpu_seconds=round(theirs.cpu_seconds, 1),
        migrate_cpu_seconds=round(ours.cpu_seconds, 1),
        reference_seconds=round(theirs.seconds, 1),
        migrate_seconds=round(ours.seconds, 1),
        reference_peak_memory_mb=round(theirs.peak_memory_mb),
        peak_memory_mb=round(ours.peak_memory_mb),
    )


if __name__ == "__main__":
    main()
