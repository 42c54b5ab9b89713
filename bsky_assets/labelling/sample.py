"""The sample of record: which posts of a day the first model is asked about, and by which design.

Posts are drawn at random in strata, the same on every run for a day: in each stratum those whose
hash with the day is smallest. Where a student has scored the day its probabilities make the
strata, and those where it is in doubt give more (Neyman, Journal of the Royal Statistical Society
97, 1934); otherwise sources make them, and each gives its part.
What does not belong here: what is estimated from the sample.
"""

from datetime import date
from itertools import pairwise

import duckdb
import pyarrow as pa

from bsky_assets.contracts import FilteredPost, Row, ScoredPost
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.details import LabelDetails, RecordSample, SampledStratum, StudentDetails
from bsky_assets.labelling.answer_sql import answer_as_text
from bsky_assets.labelling.statistics.allocation import allocate
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

CUTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where probabilities are cut, to make strata that have much the same truth."""
_LEAST_SPREAD = 0.1
"""Of a stratum in which the student is sure: it may be wrong."""


def draw(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    which: str,
    row: type[Row],
    settings: Settings,
) -> RecordSample | None:
    """Make the table `labelling_drawn`: the posts of `day` that a codebook asks about.

    `which` is a condition in SQL on the filtered posts. Each has its `selection_chance` and
    `selection_stratum`, and `is_drawn`; those of a codebook that asks where another has an answer
    have what they have there. Returns the design, None where all are asked about.
    """
    lake.relation(con, FilteredPost, [day]).create_view("drawn_filtered", replace=True)
    if issubclass(row, CodebookLabel) and row.parents:
        return _inherit(con, lake, day, which, row)
    wanted = settings.llm_sample
    if wanted is None or (issubclass(row, CodebookLabel) and row.codebook.stopped):
        _all(con, which)
        return None
    student = _stratify(con, lake, day, which)
    found = con.sql(
        """
        SELECT selection_stratum, count(*), greatest(sqrt(avg(chance) * (1 - avg(chance))), ?)
        FROM drawn_strata GROUP BY ALL ORDER BY ALL
        """,
        params=[_LEAST_SPREAD],
    ).fetchall()
    sizes = {name: posts for name, posts, _ in found}
    total = sum(sizes.values())
    size = round(wanted * total) if wanted < 1 else int(wanted)
    weights = {name: posts * (spread if student else 1.0) for name, posts, spread in found}
    drawn = allocate(sizes, min(max(size, min(total, 1)), total), weights=weights)
    quotas = pa.table({"selection_stratum": [*drawn], "quota": [*drawn.values()]})
    con.register("drawn_quotas", quotas if drawn else quotas.cast(_NO_QUOTAS))
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE labelling_drawn AS
        SELECT uri, selection_stratum, quota / posts AS selection_chance, place <= quota AS is_drawn
        FROM (
            SELECT uri, selection_stratum, count(*) OVER (PARTITION BY selection_stratum) AS posts,
                row_number() OVER (
                    PARTITION BY selection_stratum ORDER BY sha256('record' || ? || uri), uri
                ) AS place
            FROM drawn_strata
        ) JOIN drawn_quotas USING (selection_stratum)
        """,
        [str(day)],
    )
    strata = tuple(
        SampledStratum(stratum=name, posts=posts, sampled=drawn[name])
        for name, posts in sizes.items()
    )
    return RecordSample(wanted=wanted, student=student, strata=strata)


_NO_QUOTAS = pa.schema({"selection_stratum": pa.string(), "quota": pa.int64()})


def _all(con: duckdb.DuckDBPyConnection, which: str) -> None:
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE labelling_drawn AS
        SELECT uri, NULL::VARCHAR AS selection_stratum, 1.0::DOUBLE AS selection_chance,
            true AS is_drawn
        FROM drawn_filtered WHERE {which}
        """
    )


def _inherit(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, which: str, row: type[Row]
) -> RecordSample | None:
    """Take over how the posts of another codebook's answers were drawn."""
    (parent,) = row.parents
    lake.relation(con, parent, [day]).create_view("drawn_ground", replace=True)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE labelling_drawn AS
        SELECT uri, ground.selection_stratum, ground.selection_chance, true AS is_drawn
        FROM (SELECT uri FROM drawn_filtered WHERE {which})
        LEFT JOIN (FROM drawn_ground WHERE is_label_of_record) AS ground USING (uri)
        """
    )
    found = con.sql(
        """
        SELECT selection_stratum, round(sum(1 / selection_chance))::BIGINT, count(*)
        FROM labelling_drawn WHERE selection_stratum IS NOT NULL GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    if not found:
        return None
    partition = lake.current(parent, day)
    above = partition.told(LabelDetails).sample if partition else None
    strata = tuple(SampledStratum(stratum=s, posts=n, sampled=drawn) for s, n, drawn in found)
    return RecordSample(
        wanted=above.wanted if above else 1.0,
        student=above.student if above else None,
        strata=strata,
    )


def _stratify(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, which: str) -> str | None:
    """Make the table `drawn_strata`; the hash of the student whose scores make the strata."""
    scored = lake.current(ScoredPost, day)
    student = scored.told(StudentDetails).students.get("political") if scored else None
    if not student:
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE drawn_strata AS
            SELECT uri, coalesce(metadata.source, 'no source') AS selection_stratum, 0.5 AS chance
            FROM drawn_filtered WHERE {which}
            """
        )
        return None
    lake.relation(con, ScoredPost, [day]).create_view("drawn_scores", replace=True)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE drawn_strata AS
        SELECT uri, {stratum_sql("score.political")} AS selection_stratum,
            coalesce(score.political, 0.5) AS chance
        FROM (SELECT uri FROM drawn_filtered WHERE {which})
        LEFT JOIN drawn_scores AS score USING (uri)
        """
    )
    return student


def group_names() -> list[str]:
    """The groups of probabilities, from the lowest."""
    return [f"score {low} to {high}" for low, high in pairwise((0.0, *CUTS, 1.0))]


def stratum_sql(score: str) -> str:
    """SQL for the name of the stratum of a student's `score`."""
    *names, last = group_names()
    cases = (
        f"WHEN {score} < {high} THEN {literal(name)}"
        for name, high in zip(names, CUTS, strict=True)
    )
    return f"CASE WHEN {score} IS NULL THEN 'no score' {' '.join(cases)} ELSE {literal(last)} END"


def counted(con: duckdb.DuckDBPyConnection, row: type[Row], sample: RecordSample) -> RecordSample:
    """The design with what the labels of record in the table `labelling_rows` say."""
    is_several = issubclass(row, CodebookLabel) and row.codebook.answer.type == "several_of"
    label = "unnest(answer)" if is_several else answer_as_text(row)
    valid = "FROM labelling_rows WHERE is_label_of_record AND was_successfully_labeled"
    labelled = dict(con.sql(f"SELECT selection_stratum, count(*) {valid} GROUP BY ALL").fetchall())
    labels: dict[str, dict[str, int]] = {}
    for name, of, posts in con.sql(
        f"""
        SELECT selection_stratum, label, count(*)
        FROM (SELECT selection_stratum, {label} AS label {valid}) GROUP BY ALL ORDER BY ALL
        """
    ).fetchall():
        labels.setdefault(name, {})[of] = posts
    strata = tuple(
        one.model_copy(
            update={
                "labelled": labelled.get(one.stratum, 0),
                "labels": labels.get(one.stratum, {}),
            }
        )
        for one in sample.strata
    )
    return sample.model_copy(update={"strata": strata})
