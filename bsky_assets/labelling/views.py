"""Distilled views: what each side says of a topic in the news, by the model of record.

One request a topic, which the ledger knows as it knows any other. Articles are quoted data in it.
An answer is taken only if it has exactly the keys that were asked for and names only articles that
were given. Where there is none, posts are told of the article itself, and nothing stops.
What does not belong here: which articles are a topic (`news.topics`), and what posts are told.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, get_args

import duckdb
import orjson
import pyarrow as pa

from bsky_assets.contracts import arrow_schema
from bsky_assets.contracts.details import ViewsDetails
from bsky_assets.contracts.news import NewsArticle, NewsContext, NewsView, Side
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import AnswerField, AnswerForm, object_schema
from bsky_assets.labelling.asking.prompt import views_prompt
from bsky_assets.labelling.asking.questions import Question, context_piece, make_question
from bsky_assets.labelling.asking.rounds import Asker
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

SIDES: tuple[str, ...] = get_args(Side)
_CHARACTERS = 300
"""Of an argument, at most."""


@dataclass(frozen=True)
class ViewsField(AnswerField):
    """Each side's argument and the keys of the articles that say so; `values` are all keys."""

    @property
    def schema(self) -> dict[str, Any]:
        """An object with an object for each side."""
        one = {
            "argument": {"type": "string", "maxLength": self.characters},
            "articles": {"type": "array", "items": {"type": "string", "enum": [*self.values]}},
        }
        return object_schema(dict.fromkeys(SIDES, object_schema(one)))

    @property
    def most_tokens(self) -> int:
        """About twice what an answer takes."""
        return len(SIDES) * (self.characters // 2 + 8 * len(self.values))

    def read(self, said: Any) -> dict[str, Any] | None:
        """The views by side, of those that have one; None where it is not what was asked for."""
        sides = _members(said, SIDES)
        if sides is None:
            return None
        views = {side: self._view(value) for side, value in sides.items()}
        if any(view is None for view in views.values()):
            return None
        return {side: view for side, view in views.items() if view and view["argument"]} or None

    def _view(self, said: Any) -> dict[str, Any] | None:
        view = _members(said, ("argument", "articles"))
        if view is None or not isinstance(view["argument"], str):
            return None
        argument, articles = context_piece(view["argument"], self.characters), view["articles"]
        if not isinstance(articles, list) or any(one not in self.values for one in articles):
            return None
        if bool(argument) != bool(articles):
            return None
        return {"argument": argument, "articles": [*dict.fromkeys(articles)]}


def _members(said: Any, names: Sequence[str]) -> dict[str, Any] | None:
    """An object, which replies are read as pairs of, if it has exactly these keys, each once."""
    if not isinstance(said, list) or not all(isinstance(one, tuple) for one in said):
        return None
    if sorted(name for name, _ in said) != sorted(names):
        return None
    return dict(said)


@dataclass(frozen=True, slots=True)
class _Topic:
    question: Question
    articles: Sequence[str]
    """Identifiers, in the order of the keys a0, a1, …"""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(f"a{number}" for number in range(len(self.articles)))


def distil_day(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date
) -> Partition:
    """Have each topic that posts of `day` are told of summed up, and store what each side says.

    Raises:
        UnusableDataDirectory: the partition cannot be written.
    """
    inputs = made_from(lake, NewsView, day)
    topics = _topics(con, lake, settings, day)
    rows, requests, problem = list[dict[str, Any]](), 0, None
    asker = Asker(con, settings, views_prompt(), day, batch_size=1)
    try:
        for keys, some in _by_keys(topics).items():
            requests += _ask(asker, keys, some)
            rows += _rows(con, some, settings.label_of_record, views_prompt().version)
    except UserError as error:
        problem = str(error)
    told = ViewsDetails(
        prompt_version=views_prompt().version,
        topics=len(topics),
        summed_up=len({row["topic_id"] for row in rows}),
        requests=requests,
        problem=problem,
    )
    rows.sort(key=lambda row: (row["topic_id"], row["side"]))
    table = pa.Table.from_pylist(rows, schema=arrow_schema(NewsView))
    return lake.write(NewsView, day, table, told, made_from=inputs)


def _by_keys(topics: Mapping[str, _Topic]) -> dict[tuple[str, ...], dict[str, _Topic]]:
    """The form of the answer names the articles that were given: so many topics go together."""
    found: dict[tuple[str, ...], dict[str, _Topic]] = defaultdict(dict)
    for topic_id, topic in topics.items():
        found[topic.keys][topic_id] = topic
    return found


def _ask(asker: Asker, keys: tuple[str, ...], topics: Mapping[str, _Topic]) -> int:
    form = AnswerForm(asked=(ViewsField("views", "text", keys, _CHARACTERS),))
    asked = replace(asker, prompt=replace(asker.prompt, form=form))
    questions = {topic.question.hash: topic.question for topic in topics.values()}
    round_ = asked.ask(asker.settings.label_of_record, [*questions.values()], "views_best")
    return round_.statistics.requests


def _rows(
    con: duckdb.DuckDBPyConnection, topics: Mapping[str, _Topic], model: str, prompt: str
) -> Iterator[dict[str, Any]]:
    found = con.sql("SELECT question_hash, answer, request_id FROM views_best WHERE is_valid")
    said = {key: (orjson.loads(answer), request) for key, answer, request in found.fetchall()}
    for topic_id, topic in topics.items():
        views, request_id = said.get(topic.question.hash, ({}, ""))
        by_key = dict(zip(topic.keys, topic.articles, strict=True))
        for side, view in views.items():
            yield {
                "topic_id": topic_id,
                "side": side,
                "argument": view["argument"],
                "article_ids": [by_key[key] for key in view["articles"]],
                "model": model,
                "prompt_version": prompt,
                "request_id": request_id,
            }


def _topics(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, day: date
) -> dict[str, _Topic]:
    days = [day - timedelta(days=back) for back in range(settings.news_window_days + 1)]
    lake.relation(con, NewsContext, [day]).create_view("views_context", replace=True)
    lake.relation(con, NewsArticle, days).create_view("views_articles", replace=True)
    rows = con.sql(
        """
        WITH given AS (
            SELECT DISTINCT topic_id, unnest(topic_articles) AS article_id,
                generate_subscripts(topic_articles, 1) AS place
            FROM views_context WHERE topic_id IS NOT NULL
        )
        SELECT topic_id, article_id, any_value(title), any_value(text), any_value(outlets[1]),
            any_value(strftime(published_at, '%Y-%m-%d'))
        FROM given JOIN views_articles USING (article_id)
        GROUP BY topic_id, place, article_id ORDER BY topic_id, place
        """
    ).fetchall()
    given: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for topic_id, article_id, title, text, outlet, published in rows:
        side = {"side": outlet["side"]} if outlet["side"] else {}
        given[topic_id][article_id] = {
            "outlet": context_piece(outlet["name"]),
            **side,
            "day": published,
            "title": context_piece(title),
            "text": context_piece(text),
        }
    return {
        topic_id: _Topic(_question([*articles.values()]), [*articles])
        for topic_id, articles in given.items()
    }


def _question(articles: Sequence[Mapping[str, str]]) -> Question:
    by_key = {f"a{number}": dict(article) for number, article in enumerate(articles)}
    return make_question(articles[0]["title"], {"articles": by_key})
