"""A day of which a student scores every post, a model labels a sample, and people code a few.

    python -m benchmarks.sampled_day [POSTS] [LABELLED] [CODED]

The posts are generated, of about 20 words and three an author; the model is right in 90% and sees
politics in others rather than missing it; people make no mistakes. Time and memory are those of
scoring the stored day (`student_scores`) and of the day's corrected share.
"""

import random
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from statsmodels.api import OLS

from benchmarks.measuring import peak_mb, report
from bsky_assets.analysis.estimating.estimates import add_student, estimated
from bsky_assets.analysis.estimating.people import People
from bsky_assets.analysis.estimating.population import population
from bsky_assets.analysis.students.kept import POLITICS, keep
from bsky_assets.analysis.students.scoring import score_day
from bsky_assets.analysis.students.training import teach
from bsky_assets.contracts import FilteredPost, LlmLabel, arrow_schema
from bsky_assets.contracts.details import LabelDetails
from bsky_assets.labelling.embedding.packaged import Packaged
from bsky_assets.labelling.sample import draw
from bsky_assets.labelling.statistics.allocation import allocate
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from testbed.rows import filtered_post

DAY = date(2026, 3, 8)
POLITICAL = "senate budget vote law protest governor court union tax war border school climate"
OTHER = "garden roses cake cat sofa song game film rain coffee train book friend dream night"
WORDS = f"{POLITICAL} {OTHER}".split()
LESSONS = 2_000
AT_ONCE = 20_000


def main(posts: int = 400_000, labelled: int = 2_000, coded: int = 200) -> None:
    """Print what was measured as one line of JSON."""
    with TemporaryDirectory() as folder, duckdb.connect() as con:
        con.execute("SET memory_limit = '600MB'; SET threads = 2")
        settings = Settings(_env_file=None, data_dir=Path(folder), llm_sample=labelled)
        lake, truth = Lake.of(settings), np.zeros(posts, dtype=bool)
        schema = arrow_schema(FilteredPost)
        reader = pa.RecordBatchReader.from_batches(schema, generated(posts, truth))
        lake.write(FilteredPost, DAY, reader)
        taught = keep_student(settings)
        started = time.monotonic()
        scored = score_day(con, lake, DAY, settings)
        seconds = time.monotonic() - started
        scored_mb = peak_mb()
        label(con, lake, settings, truth)
        started = time.monotonic()
        people = code(settings, truth, coded)
        frame = population(settings, [DAY])
        (alone,) = estimated("political", frame, people, [DAY]).coefficients
        add_student(frame, settings, [DAY], people.sample)
        (share,) = estimated("political", frame, people, [DAY]).coefficients
        estimating = time.monotonic() - started
    drawn = truth[np.random.default_rng(3).choice(posts, coded, replace=False)].astype(float)
    low, high = OLS(drawn, np.ones(coded)).fit().conf_int()[0]
    report(
        "sampled_day",
        posts=posts,
        scored=scored.rows,
        scoring_seconds=round(seconds, 1),
        posts_a_second=round(posts / seconds),
        scoring_peak_mb=scored_mb,
        student_accuracy=round(taught, 3),
        labelled=labelled,
        coded=coded,
        true_share=round(float(truth.mean()), 4),
        naive=[round(v, 4) for v in (alone.naive.value, alone.naive.low, alone.naive.high)],
        corrected=rounded(share.corrected),
        width_without_student=round(alone.corrected.high - alone.corrected.low, 4),
        width_with_student=round(share.corrected.high - share.corrected.low, 4),
        width_of_people_alone=round(float(high - low), 4),
        estimating_seconds=round(estimating, 1),
        peak_mb=peak_mb(),
    )


def rounded(estimate: object) -> list[float]:
    return [round(getattr(estimate, name), 4) for name in ("value", "low", "high")]


def text_of(number: int) -> tuple[str, bool]:
    """A text, and whether it is political: the more of its words are, the likelier."""
    dice = random.Random(number)
    topic = dice.random() < 0.3
    chosen = POLITICAL.split() if topic else OTHER.split()
    words = [dice.choice(chosen if dice.random() < 0.25 else WORDS) for _ in range(20)]
    return " ".join(words) + f" {number}", topic


def generated(posts: int, truth: np.ndarray) -> Iterator[pa.RecordBatch]:
    """The day's rows; fills in `truth`."""
    for first in range(0, posts, AT_ONCE):
        rows = []
        for number in range(first, min(first + AT_ONCE, posts)):
            text, truth[number] = text_of(number)
            author = {"did": f"did:plc:author{number // 3}"}
            rows.append(filtered_post(number, text, author=author))
        yield pa.RecordBatch.from_pylist(rows, schema=arrow_schema(FilteredPost))


def keep_student(settings: Settings) -> float:
    """Teach a student on texts that are not of the day; its accuracy on unseen authors."""
    lessons = [text_of(-1 - number) for number in range(LESSONS)]
    vectors = Packaged().embed([text for text, _ in lessons])
    labels = [str(political) for _, political in lessons]
    student = teach(vectors, labels, [str(n // 3) for n in range(LESSONS)], [0] * LESSONS, "model")
    keep(settings, POLITICS, student)
    return student.figures.accuracy


def number_of(uri: str) -> int:
    return int(uri.rsplit("3k", 1)[1])


def label(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, truth: np.ndarray
) -> None:
    """Labels of the posts that are drawn, by a model that errs in 10%."""
    sample = draw(con, lake, DAY, "passed_filters", LlmLabel, settings)
    drawn = con.sql("SELECT * EXCLUDE (is_drawn) FROM labelling_drawn WHERE is_drawn ORDER BY uri")
    rows = drawn.to_arrow_table().to_pylist()
    dice = np.random.default_rng(1)
    for row in rows:
        is_political = truth[number_of(row["uri"])]
        errs = dice.random() < (0.05 if is_political else 0.12)
        row |= {
            "is_label_of_record": True,
            "was_successfully_labeled": True,
            "is_sociopolitical": bool(is_political != errs),
            "political_ideology": "left" if is_political != errs else None,
        }
    table = pa.Table.from_pylist(rows, schema=arrow_schema(LlmLabel))
    lake.write(LlmLabel, DAY, table, LabelDetails(sample=sample, labelled=len(rows)))


def code(settings: Settings, truth: np.ndarray, size: int) -> People:
    """What people say of some of the labelled posts, drawn by label."""
    labelled = population(settings, [DAY]).dropna(subset="label")
    sizes = {str(name): int(n) for name, n in labelled["label"].value_counts().items()}
    drawn = allocate(sizes, size)
    some = pd.concat(
        labelled[labelled["label"] == name].sample(count, random_state=2)
        for name, count in drawn.items()
    )
    said = {uri: "left" if truth[number_of(uri)] else "not_sociopolitical" for uri in some["uri"]}
    chances = {
        uri: drawn[name] / sizes[name] for uri, name in zip(some["uri"], some["label"], strict=True)
    }
    return People("sample-simulated", said, chances, len(labelled))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
