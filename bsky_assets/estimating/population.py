"""The posts that an estimate is about: all that have a label of record, with what is known of each.

One row is a post. The columns are those that a formula can name, and few on purpose: each is
defined here and nowhere else.
"""

from collections.abc import Sequence
from datetime import date

import duckdb
import pandas as pd

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import IDEOLOGIES, NOT_SOCIOPOLITICAL
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

OUTCOMES = ("political", *IDEOLOGIES)
"""Whether a post has a label; `political` is any but not_sociopolitical."""

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


class NothingToEstimate(UserError):
    """There are no labelled posts on these days."""


def population(settings: Settings, days: Sequence[date]) -> pd.DataFrame:
    """uri, author, label and the covariates of each post of `days` with a label of record.

    Raises:
        NothingToEstimate: there is none.
    """
    computed = ", ".join(f"{sql} AS {name}" for name, sql in COVARIATES.items())
    lake = Lake.of(settings)
    with duckdb.connect() as con:
        con.execute("SET enable_progress_bar = false")
        for number, day in enumerate(days):
            lake.relation(con, FilteredPost, [day]).create_view("day_posts", replace=True)
            lake.relation(con, LlmLabel, [day]).create_view("day_labels", replace=True)
            into = "INSERT INTO posts" if number else "CREATE TEMP TABLE posts AS"
            con.execute(
                f"""
                {into}
                SELECT uri, post.author.did AS author,
                    coalesce(political_ideology, {literal(NOT_SOCIOPOLITICAL)}) AS label, {computed}
                FROM (SELECT *, $day::DATE AS sync_day FROM day_posts) AS post
                JOIN day_labels USING (uri)
                WHERE is_label_of_record AND was_successfully_labeled
                """,
                {"day": day, "first": days[0], "timezone": settings.timezone.key},
            )
        frame: pd.DataFrame = con.sql("FROM posts ORDER BY uri").df()
    if frame.empty:
        raise NothingToEstimate(
            f"no labelled posts on {days[0]} to {days[-1]}; materialise llm_labels first"
        )
    return frame


def is_outcome(outcome: str, labels: pd.Series) -> pd.Series:
    """Whether each label is `outcome`, as 0 or 1."""
    held = labels != NOT_SOCIOPOLITICAL if outcome == "political" else labels == outcome
    return held.astype(float)
