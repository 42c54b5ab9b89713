"""A second question, with news, about the posts whose first answer is that their side is unclear.

What does not belong here: which article goes with a post, which is decided before (`news.gate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from bsky_assets.labelling.asking.questions import (
    NEWS,
    POST_QUESTIONS,
    DayQuestions,
    Question,
    with_news,
)
from bsky_assets.labelling.news_texts import NewsTexts
from bsky_assets.storage.sql import literal


@dataclass(frozen=True)
class Second:
    """What is asked of a day once the first answers are there."""

    asked: DayQuestions
    """Each post with the question whose answer counts."""
    questions: Sequence[Question]
    """Those to be asked, where only some are: the first ones and the new ones."""


def second_questions(
    con: duckdb.DuckDBPyConnection,
    asked: DayQuestions,
    questions: Sequence[Question],
    told: NewsTexts,
) -> Second | None:
    """The questions of a day with news for each post of `told` whose answer is unclear.

    Reads the tables `labelling_posts` and `labelling_best`; None where there is no such post.
    """
    con.register("labelling_told", pa.table({"uri": pa.array([*told], pa.string())}))
    unclear = con.sql(
        f"""
        SELECT uri, question_hash FROM labelling_posts SEMI JOIN labelling_told USING (uri)
        JOIN labelling_best USING (question_hash)
        WHERE is_valid AND political_ideology = 'unclear'
            AND NOT list_contains(context, {literal(NEWS)})
        """
    ).fetchall()
    anew = {uri: with_news(asked.questions[hash_], told[uri]) for uri, hash_ in unclear}
    if not anew:
        return None
    rows = [
        {**row, "question_hash": anew[row["uri"]].hash, "context": [*row["context"], NEWS]}
        if row["uri"] in anew
        else row
        for row in asked.posts.to_pylist()
    ]
    new = {question.hash: question for question in anew.values()}
    every = {**asked.questions, **new}
    used = {row["question_hash"] for row in rows}
    return Second(
        DayQuestions(
            pa.Table.from_pylist(rows, schema=POST_QUESTIONS),
            {key: every[key] for key in sorted(used)},
        ),
        [*(one for one in questions if one.hash in used), *new.values()],
    )
