"""How far a model agrees with itself: asked again, and asked about one post at a time.

At temperature 0 a model should give the same label twice, and the posts that happen to share a
request should not matter. Both are measured here, on a few posts, and not assumed: the effect of
company every day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256

import duckdb
import orjson

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.details import Company
from bsky_assets.contracts.progress import Reporter
from bsky_assets.labelling.asking.batches import by_chance
from bsky_assets.labelling.asking.breaker import NothingUsable
from bsky_assets.labelling.asking.endpoint import EndpointRefuses, EndpointUnreachable
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import Question
from bsky_assets.labelling.asking.rounds import Asker
from bsky_assets.labelling.ledger.store import Ledger, answers_in, ledger_of
from bsky_assets.labelling.statistics.metrics import Scores, rate, score
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
    settings: Settings,
    prompt: Prompt,
    uris: Sequence[str],
    days: Sequence[date],
    report: Reporter,
    row: type[Row] = LlmLabel,
) -> Consistency:
    """Ask the model of record again about the posts `uris` of `days`.

    The answers go to the ledger, marked as what they are; no label is made of them, and a second
    measurement of the same posts asks nothing.

    Raises:
        EndpointUnreachable: there is no endpoint, or it went away.
        EndpointRefuses: it does not take our key, model or form of request.
        NoSuchModel: it does not have the model.
    """
    questions = _questions(con, lake, ledger_of(settings), uris, days, row)
    size = settings.llm_batch_size
    asked = {
        name: _ask(Asker(con, settings, prompt, days[-1], batch, report=report), questions, number)
        for number, (name, batch) in enumerate({"alone": 1, "first": size, "second": size}.items())
    }
    return Consistency(
        size, _score(asked["alone"], asked["first"]), _score(asked["first"], asked["second"])
    )


def effect_of_company(asker: Asker, model: str, questions: Sequence[Question]) -> Company | None:
    """Ask `model` about a sample of the day's posts alone that were asked about in company.

    The answers in company are those of the table `labelling_best`. The sample is the same on
    every run, and what is known is not asked again. None if there is nothing to compare, or the
    model cannot be asked: the day's labels do not depend on it.
    """
    in_company = answers_in(asker.con, "labelling_best", "batch_size > 1")
    chosen = sorted(in_company, key=lambda key: sha256(f"{asker.day}{key}".encode()).digest())
    sample = {*chosen[: asker.settings.llm_company_sample]}
    if not sample:
        return None
    alone = replace(asker, batch_size=1)
    asked = [question for question in questions if question.hash in sample]
    try:
        alone.ask(model, asked, "labelling_alone", marked(1, 0))
    except (EndpointUnreachable, EndpointRefuses, NothingUsable):
        return None
    labels = answers_in(asker.con, "labelling_alone")
    if not labels:
        return None
    same = sum(in_company[key] == label for key, label in labels.items())
    agreement = rate(same, len(labels))
    return Company(
        posts=len(labels),
        same=same,
        agreement=agreement.value,
        low=agreement.low,
        high=agreement.high,
    )


def marked(batch_size: int, number: int) -> str:
    """The parameters of answers that are measurements, so that no label is made of them."""
    told = {"temperature": 0.0, "batch_size": batch_size, "measurement": number}
    return orjson.dumps(told).decode()


def _questions(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    ledger: Ledger,
    uris: Sequence[str],
    days: Sequence[date],
    row: type[Row],
) -> list[Question]:
    lake.relation(con, row, days).create_view("consistency_labels", replace=True)
    hashes = con.execute(
        """
        SELECT DISTINCT question_hash FROM consistency_labels
        WHERE is_label_of_record AND list_contains(?, uri)
        """,
        [list(uris)],
    ).fetchall()
    return ledger.questions(con, [question_hash for (question_hash,) in hashes])


def _ask(asker: Asker, questions: Sequence[Question], number: int) -> dict[str, str]:
    """The label of each question that has a valid answer."""
    shuffled = by_chance(questions, str(number))  # so that each round has other company
    parameters = marked(asker.batch_size, number)
    asker.ask(asker.settings.label_of_record, shuffled, "consistency_best", parameters)
    return answers_in(asker.con, "consistency_best")


def _score(first: dict[str, str], second: dict[str, str]) -> Scores | None:
    both = sorted(first.keys() & second.keys())
    return score([first[key] for key in both], [second[key] for key in both]) if both else None
