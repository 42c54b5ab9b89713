"""How far a model agrees with itself: asked again, and asked about one post at a time.

At temperature 0 a model should give the same label twice, and the posts that happen to share a
request should not matter. Both are measured here, on a few posts, and not assumed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import orjson

from bsky_assets.contracts import LlmLabel
from bsky_assets.labelling.answers import NONE
from bsky_assets.labelling.asking import Policy
from bsky_assets.labelling.ledger import Ledger
from bsky_assets.labelling.metrics import Scores, score
from bsky_assets.labelling.model_round import Asker, Report
from bsky_assets.labelling.prompt import Prompt
from bsky_assets.labelling.questions import Question
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class Consistency:
    """Labels of the same posts by the same model, asked in different ways."""

    batch_size: int
    drift: Scores | None
    """Asked alone (rows) and `batch_size` at a time (columns); None if no post has both."""
    repeated: Scores | None
    """Asked twice `batch_size` at a time, in different company."""


def measure(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    ledger: Ledger,
    settings: Settings,
    prompt: Prompt,
    uris: Sequence[str],
    days: Sequence[date],
    report: Report,
) -> Consistency:
    """Ask the model of record again about the posts `uris` of `days`.

    The answers go to the ledger, marked as what they are; no label is made of them, and a second
    measurement of the same posts asks nothing.

    Raises:
        EndpointUnreachable: there is no endpoint, or it went away.
        EndpointRefuses: it does not take our key, model or form of request.
        NoSuchModel: it does not have the model.
    """
    questions = _questions(con, lake, ledger, uris, days)
    size = settings.llm_batch_size
    asked = {
        name: _ask(con, ledger, settings, prompt, days[-1], questions, report, batch, number)
        for number, (name, batch) in enumerate({"alone": 1, "first": size, "second": size}.items())
    }
    return Consistency(
        size, _score(asked["alone"], asked["first"]), _score(asked["first"], asked["second"])
    )


def _questions(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    ledger: Ledger,
    uris: Sequence[str],
    days: Sequence[date],
) -> list[Question]:
    lake.relation(con, LlmLabel, days).create_view("consistency_labels", replace=True)
    hashes = con.execute(
        """
        SELECT DISTINCT question_hash FROM consistency_labels
        WHERE is_label_of_record AND list_contains(?, uri)
        """,
        [list(uris)],
    ).fetchall()
    return ledger.questions(con, [question_hash for (question_hash,) in hashes])


def _ask(
    con: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    settings: Settings,
    prompt: Prompt,
    day: date,
    questions: Sequence[Question],
    report: Report,
    batch_size: int,
    number: int,
) -> dict[str, str]:
    """The label of each question that has a valid answer."""
    asker = Asker(con, ledger, settings, prompt, day, batch_size, Policy(), report)
    shuffled = sorted(questions, key=lambda question: question.hash)
    random.Random(number).shuffle(shuffled)  # noqa: S311 -- so that each round has other company
    marked = {"temperature": 0.0, "batch_size": batch_size, "measurement": number}
    asker.ask(settings.label_of_record, shuffled, "consistency_best", orjson.dumps(marked).decode())
    rows = con.sql(
        f"""
        SELECT question_hash, coalesce(political_ideology, '{NONE}')
        FROM consistency_best WHERE is_valid
        """
    )
    return dict(rows.fetchall())


def _score(first: dict[str, str], second: dict[str, str]) -> Scores | None:
    both = sorted(first.keys() & second.keys())
    return score([first[key] for key in both], [second[key] for key in both]) if both else None
