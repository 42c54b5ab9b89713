"""The ledger in and out: how long it takes to keep answers, and to find them again.

The baseline is the same rows written by pyarrow to one Parquet file, and read back whole.
"""

import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import peak_mb, report
from bsky_assets.contracts import arrow_schema
from bsky_assets.contracts.labels import LlmAnswer
from bsky_assets.labelling.asking.answers import LABELS_ONLY
from bsky_assets.labelling.asking.questions import make_question
from bsky_assets.labelling.ledger.store import AnswerKey, Exchange, Ledger, SlotAnswer

DAY = date(2026, 3, 8)
KEY = AnswerKey("model", None, "prompt", LABELS_ONLY.version, "{}")
SIZE = 10
"""Posts a request."""


def exchange(number: int) -> Exchange:
    return Exchange(
        request_id=f"{number:016x}",
        raw_answer='"p0": {"text": "Post", "label": "left"}, ' * SIZE,
        finish_reason="stop",
        batch_size=SIZE,
        model=KEY.model,
        model_digest=None,
        answered_by=None,
        endpoint="benchmark@here",
        system_fingerprint=None,
        prompt_version=KEY.prompt_version,
        schema_version=KEY.schema_version,
        sent_prompt_version=None,
        parameters=KEY.parameters,
        temperature=0.0,
        response_format="json_schema",
        prompt_tokens=1000,
        completion_tokens=200,
        latency_seconds=1.0,
        answered_at=datetime(2026, 3, 8, tzinfo=UTC),
    )


def slots(first: int) -> list[SlotAnswer]:
    questions = [
        make_question(f"Post {n} " + "what people say of things. " * 5)
        for n in range(first, first + SIZE)
    ]
    return [
        SlotAnswer(
            slot=f"p{n}",
            question_hash=q.hash,
            text_hash=q.text_hash,
            question=q.payload.decode(),
            is_valid=True,
            answer='"left"',
            is_sociopolitical=True,
            political_ideology="left",
            confidence=0.9,
            reason=None,
            error=None,
            attempt=1,
        )
        for n, q in enumerate(questions)
    ]


def run(posts: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        started = time.monotonic()
        with ledger.writer(DAY) as writer:
            for number in range(0, posts, SIZE):
                writer.append(exchange(number), slots(number))
            appended = time.monotonic() - started
        sealed = time.monotonic() - started - appended
        hashes = [slot.question_hash for n in range(0, posts, SIZE) for slot in slots(n)]
        with duckdb.connect() as con:
            started = time.monotonic()
            ledger.register_best(con, "best", hashes, KEY)
            found = con.sql("SELECT count(*) FROM best").fetchall()[0][0]
            looked_up = time.monotonic() - started
            started = time.monotonic()
            ledger.register_best(con, "best", hashes[: posts // 100], KEY)
            one_percent = time.monotonic() - started
        assert found == posts
        bare = baseline(ledger, Path(folder))
        size = sum(path.stat().st_size for path in ledger.files(LlmAnswer))
    return {
        "name": f"ledger: {posts:,} posts",
        "ratio": round((appended + sealed + looked_up) / bare, 2),
        "append_seconds": round(appended, 2),
        "seal_seconds": round(sealed, 2),
        "look_up_all_seconds": round(looked_up, 2),
        "look_up_one_percent_seconds": round(one_percent, 3),
        "baseline_seconds": round(bare, 2),
        "megabytes": round(size / 1e6, 1),
        "peak_memory_mb": peak_mb(),
    }


def baseline(ledger: Ledger, folder: Path) -> float:
    """Seconds to write the rows from Python objects to one file and to read that back."""
    rows = pq.ParquetFile(ledger.files(LlmAnswer)[0]).read().to_pylist()
    started = time.monotonic()
    table = pa.Table.from_pylist(rows, schema=arrow_schema(LlmAnswer))
    pq.write_table(table, folder / "baseline.parquet", compression="zstd")
    pq.ParquetFile(folder / "baseline.parquet").read()
    return time.monotonic() - started


def main() -> None:
    for posts in map(int, sys.argv[1:] or ("10000", "200000")):
        report(**run(posts))


if __name__ == "__main__":
    main()
