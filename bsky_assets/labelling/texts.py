"""Labels of texts that never were posts: rows of a file, or of a query.

They are asked about as posts are, by the same prompt or codebook, and their answers are in the same
ledger, so that nothing is asked twice. Of a codebook's conditions none holds: every text is asked
about, whatever its language. What does not belong here: reading and writing the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import orjson

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.progress import Reporter, silent
from bsky_assets.labelling.asking.answers import NONE, NOT_SOCIOPOLITICAL
from bsky_assets.labelling.asking.batches import by_chance
from bsky_assets.labelling.asking.questions import (
    CONTEXT,
    Question,
    context_piece,
    make_question,
    normalise,
)
from bsky_assets.labelling.asking.rounds import PARAMETERS, Asker
from bsky_assets.labelling.day import codebook_of, prompt_of
from bsky_assets.labelling.ledger.store import ANSWER, ledger_of
from bsky_assets.labelling.statistics.sampling import answer_names
from bsky_assets.settings import Settings
from bsky_assets.sync_day import today

_NO_TEXT = "no_text"
Values = Mapping[str, str]
"""A row: its text, and the kinds of context that it has."""


@dataclass(frozen=True, slots=True)
class TextLabel:
    """What the model says of a text."""

    answers: Mapping[str, str]
    """By the name that people's labels have in files; empty where there is no valid answer."""
    error: str | None
    """Why there is none."""


@dataclass(frozen=True, slots=True)
class TextLabels:
    """What the model says of texts, one for each, and what that took."""

    labels: tuple[TextLabel, ...]
    model: str
    prompt_version: str
    requests: int


def label_texts(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    rows: Sequence[Values],
    row: type[Row] = LlmLabel,
    *,
    report: Reporter = silent,
) -> TextLabels:
    """Ask the model of record about the texts of `rows` what it is asked for the labels of `row`.

    Raises:
        EndpointUnreachable: there is no endpoint, or it went away; what it answered is kept.
        EndpointRefuses: it does not take our key, model or form of request.
        NoSuchModel: it does not have the model.
        UnusablePrompt: the prompt's files cannot be read.
    """
    prompt, wanted = prompt_of(settings, row), codebook_of(row).context
    questions = [_question(values, wanted) for values in rows]
    asked = {question.hash: question for question in questions if question.text}
    ledger_of(settings).seal_abandoned()
    day = today(settings.timezone)
    asker = Asker(con, settings, prompt, day, settings.llm_batch_size, report=report)
    unique = [asked[key] for key in sorted(asked)]
    model = settings.label_of_record
    done = asker.ask(model, by_chance(unique, str(day)), "texts_best", PARAMETERS)
    found = con.sql(
        f"SELECT question_hash, CASE WHEN is_valid THEN {ANSWER} END, error FROM texts_best"
    ).fetchall()
    said = {key: TextLabel(_answers(row, answer), error) for key, answer, error in found}
    nothing = TextLabel({}, _NO_TEXT)
    return TextLabels(
        tuple(said.get(question.hash, nothing) for question in questions),
        model,
        prompt.version,
        done.statistics.requests,
    )


def _question(values: Values, wanted: Sequence[str]) -> Question:
    given = {kind: values.get(kind, "") for kind in CONTEXT if kind in wanted}
    context: dict[str, Any] = {
        kind: context_piece(text) for kind, text in given.items() if normalise(text)
    }
    if "link" in context:
        context |= {"link": {"title": context["link"]}}
    if "alt_texts" in context:
        context |= {"alt_texts": [*map(context_piece, given["alt_texts"].splitlines())]}
    return make_question(values.get("text", ""), context)


def _answers(row: type[Row], answer: str | None) -> dict[str, str]:
    if answer is None:
        return {}
    if not issubclass(row, CodebookLabel):
        is_political = answer != NOT_SOCIOPOLITICAL
        said = (str(is_political).lower(), answer if is_political else NONE)
        return dict(zip(answer_names(row), said, strict=True))
    kind = row.codebook.answer.type
    if kind == "boolean":
        answer = "yes" if answer == "true" else "no"
    elif kind == "several_of":
        answer = " + ".join(orjson.loads(answer))
    return {row.codebook.name: answer}
