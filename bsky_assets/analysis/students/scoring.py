"""What students say of the posts of a day: the table `student_scores`, and groups made of it.

No label of record is made of a score. Where a model labels a sample the scores make its strata,
and in corrected estimates they say of posts that nobody labelled what is to be expected.
"""

from collections.abc import Sequence
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from bsky_assets.analysis.students.kept import IDEOLOGY, POLITICS, NoStudent, load
from bsky_assets.analysis.students.training import Floats, Student
from bsky_assets.contracts import FilteredPost, ScoredPost, arrow_schema
from bsky_assets.contracts.details import StudentDetails
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import IDEOLOGIES
from bsky_assets.labelling.embedding.embedder import Embedder, embedder_of
from bsky_assets.labelling.embedding.packaged import NoEmbeddings, Vectors
from bsky_assets.labelling.sample import CUTS
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

_POSTS_AT_ONCE = 20_000


class NothingToScore(UserError):
    """The day has not been filtered."""


def score_day(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, settings: Settings
) -> Partition:
    """Score every post of `day` that passed, and write the partition.

    It has no row where no student is of use, or the package that it reads texts with is not there;
    the details say why.

    Raises:
        NothingToScore: the day has not been filtered.
        EndpointUnreachable: the endpoint of the embeddings is away; what it gave is kept.
    """
    filtered = lake.current(FilteredPost, day)
    if filtered is None:
        raise NothingToScore(f"the posts of {day} are not filtered; materialise filtered_posts")
    inputs = made_from(lake, ScoredPost, day)
    students, unused = _usable(settings)
    table = arrow_schema(ScoredPost).empty_table()
    if POLITICS in students:
        try:
            table = _scored(con, lake, day, embedder_of(settings), students)
        except NoEmbeddings as why:
            unused |= dict.fromkeys(students, str(why))
            students = {}
    details = StudentDetails(
        students={question: student.data_hash for question, student in students.items()},
        learnt_from={question: student.learnt_from for question, student in students.items()},
        unused=unused,
        scored=table.num_rows,
    )
    return lake.write(ScoredPost, day, table, details, made_from=inputs)


def _usable(settings: Settings) -> tuple[dict[str, Student], dict[str, str]]:
    """The student of each question that is of use, and why there is none of the others."""
    students: dict[str, Student] = {}
    unused: dict[str, str] = {}
    for question in (POLITICS, IDEOLOGY):
        try:
            students[question] = load(settings, question)
        except NoStudent as why:
            unused[question] = str(why)
    return students, unused


def _scored(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    embedder: Embedder,
    students: dict[str, Student],
) -> pa.Table:
    lake.relation(con, FilteredPost, [day]).create_view("scored_posts", replace=True)
    texts = con.sql(
        "SELECT uri, record.text AS text FROM scored_posts WHERE passed_filters ORDER BY uri"
    )
    batches = (_batch(one, embedder, students) for one in texts.to_arrow_reader(_POSTS_AT_ONCE))
    return pa.Table.from_batches(batches, schema=arrow_schema(ScoredPost))


def _batch(
    posts: pa.RecordBatch, embedder: Embedder, students: dict[str, Student]
) -> pa.RecordBatch:
    texts = posts.column("text").to_pylist()
    political, ideology = students[POLITICS], students.get(IDEOLOGY)
    is_given = any(student.words is None for student in students.values())
    given = embedder.embed(texts) if is_given else None
    columns: dict[str, object] = {
        "uri": posts.column("uri"),
        "political": _scores(political, texts, given)[:, political.classes.index("True")],
        "student": pa.repeat(political.data_hash, posts.num_rows),
    }
    if ideology:
        scores = _scores(ideology, texts, given)
        for side in set(IDEOLOGIES) & set(ideology.classes):
            columns[side] = scores[:, ideology.classes.index(side)]
        columns["ideology_student"] = pa.repeat(ideology.data_hash, posts.num_rows)
    schema = arrow_schema(ScoredPost)
    nothing = pa.nulls(posts.num_rows)
    return pa.RecordBatch.from_arrays(
        [pa.array(columns.get(field.name, nothing)).cast(field.type) for field in schema],
        schema=schema,
    )


def _scores(student: Student, texts: list[str], given: Vectors | None) -> Floats:
    if student.words is None:
        assert given is not None
        return student.scores(given)
    from bsky_assets.analysis.students.words import (
        vectors_of,  # fastText, which most runs do without
    )

    return student.scores(vectors_of(student.words, texts))


def political_groups(settings: Settings, days: Sequence[date], sample: str) -> pd.Series:
    """Into which group of probabilities the student puts each post that passed, by URI.

    Of a day without scores that are stored, they are made now by the student that there is.

    Raises:
        NoStudent: there is none, it is of no use, or it learnt from people's labels of `sample`,
            which it would then be judged by.
    """
    lake = Lake.of(settings)
    found = []
    with in_memory() as con:
        for day in days:
            stored = lake.current(ScoredPost, day)
            told = stored.told(StudentDetails) if stored else StudentDetails()
            if POLITICS in told.students:
                _check(told.learnt_from.get(POLITICS, ""), sample)
                scores = lake.relation(con, ScoredPost, [day]).select("uri, political")
                found.append(scores.to_arrow_table())
            else:
                student = load(settings, POLITICS)
                _check(student.learnt_from, sample)
                scored = _scored(con, lake, day, embedder_of(settings), {POLITICS: student})
                found.append(scored.select(["uri", "political"]))
    scores = pa.concat_tables(found)
    groups = np.digitize(scores.column("political").to_numpy(), CUTS)
    return pd.Series(groups, index=scores.column("uri").to_pandas())


def _check(learnt_from: str, sample: str) -> None:
    if shared := {*sample.split(", ")} & {*learnt_from.split(", ")}:
        raise NoStudent(
            f"the student learnt from {min(shared)}, by which the estimate is corrected; teach one "
            "from the model's labels: `bsky-assets labels distil`"
        )
