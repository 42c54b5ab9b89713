"""How far models agree on the same posts.

What does not belong here: whether they are right, which only people can say; see `evaluation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

import duckdb
import pyarrow as pa

from bsky_assets.contracts import LlmLabel
from bsky_assets.labelling.asking.answers import NONE
from bsky_assets.labelling.statistics.confusion_figure import confusion_png
from bsky_assets.labelling.statistics.metrics import Scores, score
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the posts that both have labelled."""

    first: str
    second: str
    is_sociopolitical: Scores
    political_ideology: Scores
    """With `none` for posts that are not sociopolitical."""

    def png(self) -> bytes:
        """The confusion matrix of ideology as a picture."""
        kappa = self.political_ideology.kappa
        return confusion_png(
            self.political_ideology.confusion,
            self.political_ideology.classes,
            title=f"{self.political_ideology.posts:,} posts, kappa {kappa}",
            rows=self.first,
            columns=self.second,
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """All pairs of models, and the posts that models dispute."""

    pairs: tuple[Pair, ...]
    disputed: pa.Table
    """uri, models and labels (lists, in the same order), sorted by how many labels differ."""


def compare(con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date]) -> Agreement:
    """Compare the models that labelled posts of `days` with the prompt now in force.

    Only valid labels count, and for a model whose weights changed under one name the latest. Of a
    day of which a sample was labelled each post weighs one over its chance.
    """
    _register_labels(con, lake, days)
    models = [
        m for (m,) in con.sql("SELECT DISTINCT model FROM compared ORDER BY model").fetchall()
    ]
    pairs = (_pair(con, first, second) for first, second in combinations(models, 2))
    return Agreement(tuple(pair for pair in pairs if pair), _disputed(con))


def _register_labels(con: duckdb.DuckDBPyConnection, lake: Lake, days: Sequence[date]) -> None:
    lake.relation(con, LlmLabel, days).create_view("compared_labels", replace=True)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE compared AS
        SELECT uri, model, is_sociopolitical,
            coalesce(political_ideology, {literal(NONE)}) AS label,
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


def _pair(con: duckdb.DuckDBPyConnection, first: str, second: str) -> Pair | None:
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
    return Pair(
        first,
        second,
        is_sociopolitical=score(
            [*map(str, political_a)], [*map(str, political_b)], weights=weights
        ),
        political_ideology=score(label_a, label_b, weights=weights),
    )


def _disputed(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return con.sql(
        """
        SELECT uri, list(model ORDER BY model) AS models, list(label ORDER BY model) AS labels
        FROM compared GROUP BY uri HAVING count(DISTINCT label) > 1
        ORDER BY count(DISTINCT label) DESC, uri
        """
    ).to_arrow_table()
