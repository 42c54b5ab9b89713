"""Posts coded by people, each as the question that the model is asked about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import NONE, NOT_SOCIOPOLITICAL
from bsky_assets.labelling.asking.questions import Question, make_question, text_hash
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.statistics.evaluation import SOCIOPOLITICAL, labels_by_people
from bsky_assets.labelling.statistics.gold import Gold
from bsky_assets.storage.lake import Lake

_CHOICES = ("boolean", "one_of", "scale")


class CannotOptimise(UserError):
    """A wording cannot be tried on these posts: too few, or answers that are not right or wrong."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A post with its label by people."""

    question: Question
    author: str
    """DID; the text's hash where it is not known."""
    day: date | None
    """Sync day; None where the post is not stored here."""
    label: str
    uri: str = ""
    """Where it is known."""

    def is_right(self, said: str | None) -> bool:
        """Whether a model that answers so says what people say; None is no answer."""
        if self.label == SOCIOPOLITICAL:
            return said not in (None, NOT_SOCIOPOLITICAL)
        return said == self.label


def coded_posts(
    con: duckdb.DuckDBPyConnection, lake: Lake, ledger: Ledger, gold: Gold, row: type[Row]
) -> list[Coded]:
    """The posts of a file, each once.

    A post that was labelled is asked about as it was then, with its context; of another there is
    the text in the file alone, if it is there.

    Raises:
        CannotOptimise: the answers to the codebook of `row` are not right or wrong.
    """
    if issubclass(row, CodebookLabel) and row.codebook.answer.type not in _CHOICES:
        raise CannotOptimise(
            f"{row.codebook.name}: answers that are {row.codebook.answer.type} are not right or "
            f"wrong; a wording is tried on those that are {', '.join(_CHOICES)}"
        )
    labels = _labels(gold, row)
    asked = _asked(con, lake, ledger, gold, row)
    found: dict[str, Coded] = {}
    for place, label in enumerate(labels):
        if label is None:
            continue
        uri = gold.uris[place] if gold.uris else ""
        text = gold.texts[place] if gold.texts else ""
        known = asked.get(uri or text_hash(text))
        question = known[0] if known else make_question(text) if text else None
        if question:
            uri = known[2] if known else uri
            author = uri.split("/")[2] if uri.startswith("at://") else question.text_hash
            post = Coded(question, author, known[1] if known else None, label, uri)
            found.setdefault(question.hash, post)
    return [*found.values()]


def _labels(gold: Gold, row: type[Row]) -> list[str | None]:
    """By people, in the words of the model's answers."""
    if row is LlmLabel:
        return [NOT_SOCIOPOLITICAL if said == NONE else said for said in labels_by_people(gold)]
    truth = {"yes": "true", "no": "false"} if _is_boolean(row) else {}
    return [said and truth.get(said, said) for said in gold.variables[0].gold]


def _is_boolean(row: type[Row]) -> bool:
    return issubclass(row, CodebookLabel) and row.codebook.answer.type == "boolean"


def _asked(
    con: duckdb.DuckDBPyConnection, lake: Lake, ledger: Ledger, gold: Gold, row: type[Row]
) -> Mapping[str, tuple[Question, date, str]]:
    """By URI, or hash of the text: the question about a post, its day and its URI."""
    keys = gold.uris or tuple(map(text_hash, gold.texts or ()))
    con.register("coded_keys", pa.table({"key": pa.array(keys, pa.string())}))
    rows = list(_rows(con, lake, row, "uri" if gold.uris else "text_hash"))
    hashes = {question_hash for _, question_hash, _, _ in rows}
    questions = {one.hash: one for one in ledger.questions(con, sorted(hashes))}
    return {
        key: (questions[question_hash], day, uri)
        for key, question_hash, day, uri in rows
        if question_hash in questions  # its author may have deleted its words since
    }


def _rows(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], key: str
) -> Iterator[tuple[str, str, date, str]]:
    for day in lake.days(row):
        lake.relation(con, row, [day]).create_view("coded_labels", replace=True)
        found = con.sql(
            f"SELECT {key}, question_hash, uri FROM coded_labels WHERE is_label_of_record "
            f"AND {key} IN (SELECT key FROM coded_keys) ORDER BY uri DESC"
        ).fetchall()
        yield from ((value, question_hash, day, uri) for value, question_hash, uri in found)
