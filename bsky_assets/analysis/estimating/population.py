"""The posts that an estimate is about: those with a label of record, or that a sample stands for.

One row is a post. The columns are those that a formula can name, and few on purpose: each is
defined here and nowhere else.
"""

from collections.abc import Sequence
from datetime import date

import duckdb
import pandas as pd

from bsky_assets.contracts import FilteredPost, LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.details import LabelDetails
from bsky_assets.errors import UserError
from bsky_assets.labelling.answer_sql import answer_as_text
from bsky_assets.labelling.day import asked_about
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.lake import Lake

COVARIATES = {
    "day": "date_diff('day', $first, post.sync_day)",
    "weekday": "isodow(post.sync_day)",
    "hour": "hour(timezone($timezone, post.indexed_at))",
    "source": "post.metadata.source",
    "has_link": "post.record.embed.link_uri IS NOT NULL",
    "has_media": "coalesce(len(post.record.embed.media) > 0, false)",
    "is_reply": "post.record.reply_parent IS NOT NULL",
    "is_quote": "post.record.embed.quoted_uri IS NOT NULL",
    "characters": "length(post.record.text)",
}
"""What a formula can name, and how it is computed; `day` counts from the first of the days."""

_SELECT = f"""
    SELECT uri, post.author.did AS author, label, chance,
        {", ".join(f"{sql} AS {name}" for name, sql in COVARIATES.items())}
    FROM (SELECT *, $day::DATE AS sync_day FROM day_posts) AS post JOIN day_record USING (uri)
"""


class NothingToEstimate(UserError):
    """There are no labelled posts on these days."""


def population(settings: Settings, days: Sequence[date], row: type[Row] = LlmLabel) -> pd.DataFrame:
    """uri, author, label, chance and the covariates of each post of `days` that is spoken of.

    Labels are those of `row`.

    These are the posts with a label of record; of a day of which a sample was asked about, all
    that it was drawn from, if it is known which: of a codebook that asks where another has an
    answer it is not. `chance` is that of a post to have a label; both are null where it has none.

    Raises:
        NothingToEstimate: there is none.
    """
    lake = Lake.of(settings)
    with in_memory() as con:
        for number, day in enumerate(days):
            _register(con, lake, day, settings, row)
            into = "INSERT INTO posts" if number else "CREATE TEMP TABLE posts AS"
            con.execute(
                f"{into} {_SELECT}",
                {"day": day, "first": days[0], "timezone": settings.timezone.key},
            )
        frame: pd.DataFrame = con.sql("FROM posts ORDER BY uri").df()
    if frame["label"].isna().all():
        raise NothingToEstimate(
            f"no labelled posts on {days[0]} to {days[-1]}; materialise {row.asset} first"
        )
    return frame


def _register(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, settings: Settings, row: type[Row]
) -> None:
    """Make the table `day_record` of the posts that are spoken of, with label and chance."""
    lake.relation(con, FilteredPost, [day]).create_view("day_posts", replace=True)
    lake.relation(con, row, [day]).create_view("day_labels", replace=True)
    label, partition = answer_as_text(row), lake.current(row, day)
    if partition is None or partition.told(LabelDetails).sample is None:
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE day_record AS
            SELECT uri, {label} AS label, 1.0::DOUBLE AS chance FROM day_labels
            WHERE is_label_of_record AND was_successfully_labeled
            """
        )
        return
    # Of a stratum, labels that failed are as if they had not been drawn.
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE day_record AS
        WITH drawn AS (
            SELECT uri, {label} AS label, was_successfully_labeled AS is_valid,
                count(*) FILTER (was_successfully_labeled) OVER stratum
                    / sum(1 / selection_chance) OVER stratum AS chance
            FROM day_labels WHERE is_label_of_record
            WINDOW stratum AS (PARTITION BY selection_stratum)
        )
        SELECT uri, label, chance FROM drawn WHERE is_valid
        UNION ALL
        SELECT uri, NULL, NULL FROM day_posts
        WHERE {_spoken_of(con, lake, day, settings, row)}
            AND uri NOT IN (SELECT uri FROM drawn WHERE is_valid)
        """
    )


def _spoken_of(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, settings: Settings, row: type[Row]
) -> str:
    """SQL for the posts that the sample of `day` was drawn from."""
    if not issubclass(row, CodebookLabel):
        return "passed_filters"
    if row.parents:
        return "false"  # the other's answer is known of the posts of the sample alone
    return asked_about(con, lake, day, row, settings)
