"""How far models agree on the same posts.

What does not belong here: whether they are right, which only people can say; see `evaluation`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

import duckdb
import pyarrow as pa

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.labelling.answer_sql import as_people_have_it
from bsky_assets.labelling.statistics.confusion_figure import confusion_png
from bsky_assets.labelling.statistics.gold import IDEOLOGY, POLITICS
from bsky_assets.labelling.statistics.metrics import Scores, score
from bsky_assets.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the posts that both have labelled."""

    first: str
    second: str
    scores: Mapping[str, Scores]
    """By what is labelled, the finest last: for `llm_labels` whether a post is sociopolitical, and
    its ideology, with `none` for posts that are not; for a codebook its answer."""

    @property
    def finest(self) -> Scores:
        """Of the ideology, or of the answer."""
        return [*self.scores.values()][-1]

    def png(self) -> bytes:
        """The confusion matrix of ideology, or of the answer, as a picture."""
        return confusion_png(
            self.finest.confusion,
            self.finest.classes,
            title=f"{self.finest.posts:,} posts, kappa {self.finest.kappa}",
            rows=self.first,
            columns=self.second,
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """All pairs of models, and the posts that models dispute."""

    pairs: tuple[Pair, ...]
    disputed: pa.Table
    """uri, models and labels (lists, in the same order), sorted by how many labels differ."""


def compare(
    con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date], row: type[Row] = LlmLabel
) -> Agreement:
    """Compare the models that labelled posts of `days` for `row` with the prompt now in force.

    Only valid labels count, and for a model whose weights changed under one name the latest. Of a
    day of which a sample was labelled each post weighs one over its chance.
    """
    _register_labels(con, lake, days, row)
    models = [
        m for (m,) in con.sql("SELECT DISTINCT model FROM compared ORDER BY model").fetchall()
    ]
    pairs = (_pair(con, first, second, row) for first, second in combinations(models, 2))
    return Agreement(tuple(pair for pair in pairs if pair), _disputed(con))


def _register_labels(
    con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date], row: type[Row]
) -> None:
    is_political = "is_sociopolitical" if row is LlmLabel else "NULL"
    lake.relation(con, row, days).create_view("compared_labels", replace=True)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE compared AS
        SELECT uri, model, {is_political} AS is_sociopolitical, {as_people_have_it(row)} AS label,
            1 / coalesce(of_record.selection_chance, 1) AS weight
        FROM compared_labels AS labels
        -- a post that is not of the day's sample may keep a label from before it was drawn
        JOIN (
            SELECT uri, selection_chance FROM compared_labels WHERE is_label_of_record
        ) AS of_record USING (uri)
        SEMI JOIN (
            SELECT DISTINCT prompt_version, schema_version FROM compared_labels
            WHERE is_label_of_record
        ) AS in_force USING (prompt_version, schema_version)
        WHERE was_successfully_labeled
        QUALIFY row_number() OVER (
            PARTITION BY uri, model ORDER BY is_label_of_record DESC, label_timestamp DESC
        ) = 1
        """
    )


def _pair(con: duckdb.DuckDBPyConnection, first: str, second: str, row: type[Row]) -> Pair | None:
    rows = con.execute(
        """
        SELECT a.is_sociopolitical, b.is_sociopolitical, a.label, b.label, a.weight
        FROM compared AS a JOIN compared AS b USING (uri)
        WHERE a.model = ? AND b.model = ? ORDER BY uri
        """,
        [first, second],
    ).fetchall()
    if not rows:
        return None
    political_a, political_b, label_a, label_b, weights = zip(*rows, strict=True)
    finest = score(label_a, label_b, weights=weights)
    if issubclass(row, CodebookLabel):
        return Pair(first, second, {row.codebook.name: finest})
    politics = score([*map(str, political_a)], [*map(str, political_b)], weights=weights)
    return Pair(first, second, {POLITICS: politics, IDEOLOGY: finest})


def _disputed(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return con.sql(
        """
        SELECT uri, list(model ORDER BY model) AS models, list(label ORDER BY model) AS labels
        FROM compared GROUP BY uri HAVING count(DISTINCT label) > 1
        ORDER BY count(DISTINCT label) DESC, uri
        """
    ).to_arrow_table()
