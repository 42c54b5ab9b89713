"""What is asked about a day: each post that passed the filters, as quoted data with its context.

Context is what helps to understand a post and was collected: the post it answers, the first of
its thread, the post it quotes, its link card, its alt texts. Posts with the same text and context
are one question. What does not belong here: the prompt, and who is asked.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from bsky_assets.contracts import ConsolidatedPost, FilteredPost
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import look_back

CONTEXT_OF_POSTS = ("reply_to", "thread_root", "quoted")
"""The kinds of context that are the words of other posts."""

CONTEXT = (*CONTEXT_OF_POSTS, "link", "alt_texts")
"""The kinds of context that are collected with posts, in the order in which they are sent."""

NEWS = "news"
"""The kind of context that is articles, sent last."""

_CONTEXT_CHARACTERS = 500
"""Of one piece of context; a post has at most 300 graphemes, a link card is often longer."""

_ALT_TEXTS = 4
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n ?")
_GAPS = re.compile(r"\n{3,}")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|[\ud800-\udfff]")

_HASH_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Question:
    """A text and its context, as they are sent."""

    hash: str
    text_hash: str
    payload: bytes
    """JSON: an object with `text` and whatever context there is."""

    @property
    def text(self) -> str:
        """The normalised text of the post."""
        text: str = orjson.loads(self.payload)["text"]
        return text


POST_QUESTIONS = pa.schema(
    {
        "uri": pa.string(),
        "question_hash": pa.string(),
        "text_hash": pa.string(),
        "context": pa.list_(pa.string()),
    }
)
"""Which question asks about a post."""


@dataclass(frozen=True, slots=True)
class DayQuestions:
    """The questions of a day: `posts` has a row for each post, `questions` each question once."""

    posts: pa.Table
    questions: dict[str, Question]


def normalise(text: str) -> str:
    """`text` as it is asked about: NFC, without control characters and superfluous blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _GAPS.sub("\n\n", _LINES.sub("\n", _SPACES.sub(" ", text))).strip()


def text_hash(text: str) -> str:
    """SHA-256 of the normalised text, in hex."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()


def make_question(text: str, context: dict[str, Any] | None = None) -> Question:
    """The question about `text`; `context` has kinds of `CONTEXT`, already normalised."""
    text = normalise(text)
    payload = orjson.dumps({"text": text, **(context or {})})
    return Question(
        hash=hashlib.sha256(payload).hexdigest()[:_HASH_DIGITS],
        text_hash=hashlib.sha256(text.encode()).hexdigest(),
        payload=payload,
    )


def with_news(question: Question, told: Sequence[str]) -> Question:
    """The same question with these articles, and with no others."""
    payload = orjson.loads(question.payload)
    text, _ = payload.pop("text"), payload.pop(NEWS, None)
    return make_question(text, {**payload, NEWS: [*map(normalise, told)]} if told else payload)


def day_questions(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    which: str = "passed_filters",
    kinds_of_context: Sequence[str] = CONTEXT,
    news: Mapping[str, Sequence[str]] | None = None,
) -> DayQuestions:
    """What is to be asked about `day`, in the order of the questions' hashes.

    `which` is a condition in SQL on the filtered posts; `news` is what posts are told of it, by
    URI.
    """
    questions: dict[str, Question] = {}
    uris, hashes, text_hashes, kinds = [], [], [], []
    for batch in _posts(con, lake, day, which).to_arrow_reader(10_000):
        for post in batch.to_pylist():
            context = _context(post, kinds_of_context)
            if told := (news or {}).get(post["uri"]):
                context[NEWS] = [*map(normalise, told)]
            question = make_question(post["text"], context)
            questions[question.hash] = question
            uris.append(post["uri"])
            hashes.append(question.hash)
            text_hashes.append(question.text_hash)
            kinds.append(list(context))
    posts = pa.table([uris, hashes, text_hashes, kinds], schema=POST_QUESTIONS)
    return DayQuestions(posts, {key: questions[key] for key in sorted(questions)})


def _posts(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, which: str
) -> duckdb.DuckDBPyRelation:
    """The posts that are asked about, with the texts of those that they refer to, if collected."""
    lake.relation(con, FilteredPost, [day]).create_view("labelling_filtered", replace=True)
    earlier = look_back(day)
    lake.relation(con, ConsolidatedPost, [*earlier, day], passing_over=earlier).create_view(
        "labelling_collected", replace=True
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE labelling_passed AS
        SELECT uri, record.text AS text, record.reply_parent AS parent, record.reply_root AS root,
            record.embed.quoted_uri AS quoted, record.embed.link_uri AS link_uri,
            record.embed.link_title AS link_title,
            record.embed.link_description AS link_description,
            record.embed.alt_texts AS alt_texts
        FROM labelling_filtered WHERE {which}
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE labelling_referred AS
        SELECT uri, any_value(record.text ORDER BY cid) AS text
        FROM labelling_collected
        WHERE uri IN (
            SELECT unnest([parent, root, quoted]) FROM labelling_passed
        )
        GROUP BY uri
        """
    )
    return con.sql(
        """
        SELECT passed.* EXCLUDE (parent, root, quoted), parent.text AS reply_to,
            CASE WHEN passed.root <> passed.parent THEN root.text END AS thread_root,
            quoted.text AS quoted
        FROM labelling_passed AS passed
        LEFT JOIN labelling_referred AS parent ON parent.uri = passed.parent
        LEFT JOIN labelling_referred AS root ON root.uri = passed.root
        LEFT JOIN labelling_referred AS quoted ON quoted.uri = passed.quoted
        ORDER BY passed.uri
        """
    )


def _context(post: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    given = {
        "reply_to": context_piece(post["reply_to"]),
        "thread_root": context_piece(post["thread_root"]),
        "quoted": context_piece(post["quoted"]),
        "link": _link(post),
        "alt_texts": _pieces(post["alt_texts"] or ()),
    }
    return {kind: value for kind in CONTEXT if kind in wanted and (value := given[kind])}


def _link(post: dict[str, Any]) -> dict[str, str]:
    card = {
        "title": context_piece(post["link_title"]),
        "description": context_piece(post["link_description"]),
        "url": context_piece(post["link_uri"], 200),
    }
    return {name: value for name, value in card.items() if value}


def _pieces(texts: Sequence[str]) -> list[str]:
    return [piece for text in texts[:_ALT_TEXTS] if (piece := context_piece(text))]


def context_piece(text: str | None, characters: int = _CONTEXT_CHARACTERS) -> str:
    """`text` as it is sent for context: normalised, and cut off where it is long."""
    shortened = normalise(text or "")
    return shortened if len(shortened) <= characters else shortened[: characters - 1] + "…"
