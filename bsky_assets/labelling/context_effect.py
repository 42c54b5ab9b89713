"""Whether news beside a post helps its label: the same posts are asked about without it and with.

A random sample of the day tells how far the shares move; posts coded by people, of whatever day,
tell whether labels are right more often. Only that is proof: labels that move may have been right.
The answers are kept in the ledger as any others are, and are the labels of the arm that is chosen.
What does not belong here: which article goes with a post.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.contracts import FilteredPost, LlmLabel, arrow_schema
from bsky_assets.contracts.details import ContextEffectDetails
from bsky_assets.contracts.news import ContextEffect
from bsky_assets.labelling.asking.batches import by_chance
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import Question, day_questions, with_news
from bsky_assets.labelling.asking.rounds import Asker
from bsky_assets.labelling.context_proof import is_gain, keep_proof
from bsky_assets.labelling.day import NothingToLabel, prompt_of
from bsky_assets.labelling.ledger.store import answers_in, ledger_of
from bsky_assets.labelling.news_texts import context_of
from bsky_assets.labelling.optimising.coded import Coded, coded_posts
from bsky_assets.labelling.statistics.gold import read_gold
from bsky_assets.labelling.statistics.paired import Effect, effect, shifts
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.sql import literal

_ALL = "all"


@dataclass(frozen=True, slots=True)
class _Arm:
    """One way of asking: the answer to each question, and what that took."""

    prompt: Prompt
    said: Mapping[str, str]
    tokens_a_post: float | None
    seconds_a_post: float | None


def measure_context(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, settings: Settings
) -> Partition:
    """Ask about a sample of `day`, and about posts coded by people, without news and with it.

    What it shows of the coded posts is kept as proof for, or against, labels with news.

    Raises:
        NothingToLabel: the day has not been filtered.
        UnusableGold: BSKY_LLM_GOLD cannot be read.
        EndpointUnreachable: there is no endpoint, or it went away; what it answered is kept.
    """
    if lake.current(FilteredPost, day) is None:
        raise NothingToLabel(f"the posts of {day} are not filtered; materialise filtered_posts")
    inputs = made_from(lake, ContextEffect, day)
    ledger_of(settings).seal_abandoned()
    sample = _sample(con, lake, day, settings.news_context_sample)
    coded = _coded(con, lake, settings)
    arms = [
        _ask(con, settings, day, [pair[number] for pair in (*sample, *coded.values())], number)
        for number in (0, 1)
    ]
    found = _effect_on_coded(coded, arms)
    made = {
        "model": settings.label_of_record,
        "prompt_without": arms[0].prompt.version,
        "prompt_with": arms[1].prompt.version,
    }
    rows = [{**row, **made} for row in [*_accuracy(found), *_shares(sample, arms)]]
    keep_proof(settings, arms[1].prompt.version, day, found)
    told = ContextEffectDetails(
        sampled=len(sample),
        with_news=sum(without != with_it for without, with_it in sample),
        coded=found.posts if found else 0,
        is_proven=is_gain(found),
        tokens_a_post=(arms[0].tokens_a_post, arms[1].tokens_a_post),
        seconds_a_post=(arms[0].seconds_a_post, arms[1].seconds_a_post),
    )
    table = pa.Table.from_pylist(rows, schema=arrow_schema(ContextEffect))
    return lake.write(ContextEffect, day, table, told, made_from=inputs)


Pair = tuple[Question, Question]
"""The question about a post, without news and with it."""


def _sample(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, posts: int) -> list[Pair]:
    """A random sample of the posts that are labelled, the same on every run."""
    lake.relation(con, FilteredPost, [day]).create_view("effect_posts", replace=True)
    which = (
        "uri IN (SELECT uri FROM effect_posts WHERE passed_filters "
        f"ORDER BY sha256({literal(str(day))} || uri) LIMIT {posts})"
    )
    without, with_it = (
        day_questions(con, lake, day, which, news=news) for news in ({}, context_of(con, lake, day))
    )
    old, new = (
        dict(
            zip(*(asked.posts[name].to_pylist() for name in ("uri", "question_hash")), strict=True)
        )
        for asked in (without, with_it)
    )
    return [(without.questions[old[uri]], with_it.questions[new[uri]]) for uri in sorted(old)]


def _coded(con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings) -> dict[Coded, Pair]:
    """The posts of BSKY_LLM_GOLD that are stored here."""
    if settings.llm_gold is None:
        return {}
    gold = read_gold(settings.llm_gold)
    posts = [one for one in coded_posts(con, lake, ledger_of(settings), gold, LlmLabel) if one.day]
    told = {day: context_of(con, lake, day) for day in {one.day for one in posts} if day}
    return {
        one: (with_news(one.question, ()), with_news(one.question, told[one.day].get(one.uri, ())))
        for one in posts
        if one.day
    }


def _ask(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    day: date,
    questions: Sequence[Question],
    number: int,
) -> _Arm:
    prompt = prompt_of(settings.model_copy(update={"news_context": ("off", "on")[number]}))
    asker = Asker(con, settings, prompt, day, settings.llm_batch_size)
    each = {question.hash: question for question in questions}
    asker.ask(settings.label_of_record, by_chance(each.values(), str(day)), "effect_best")
    ((tokens, seconds),) = con.sql(
        "SELECT avg((prompt_tokens + completion_tokens) / batch_size), "
        "avg(latency_seconds / batch_size) FROM effect_best WHERE is_valid"
    ).fetchall()
    return _Arm(prompt, answers_in(con, "effect_best"), tokens, seconds)


def _effect_on_coded(coded: Mapping[Coded, Pair], arms: Sequence[_Arm]) -> Effect | None:
    right = [
        [post.is_right(arm.said.get(pair[number].hash)) for post, pair in coded.items()]
        for number, arm in enumerate(arms)
    ]
    return effect(right[0], right[1]) if coded else None


def _accuracy(found: Effect | None) -> list[dict[str, Any]]:
    if found is None:
        return []
    row = {
        "measure": "accuracy",
        "label": _ALL,
        "posts": found.posts,
        "value_without": found.accuracy_without.value,
        "value_with": found.accuracy_with.value,
        "difference": found.gain.value,
        "difference_low": found.gain.low,
        "difference_high": found.gain.high,
        "only_with": found.only_with,
        "only_without": found.only_without,
        "p": found.p,
    }
    return [row]


def _shares(sample: Sequence[Pair], arms: Sequence[_Arm]) -> list[dict[str, Any]]:
    old, new = (
        [arm.said.get(pair[number].hash) for pair in sample] for number, arm in enumerate(arms)
    )
    both = [(one, other) for one, other in zip(old, new, strict=True) if one and other]
    if not both:
        return []
    return [
        {
            "measure": "share",
            "label": one.label,
            "posts": one.posts,
            "value_without": one.share_without,
            "value_with": one.share_with,
            "difference": one.shift.value,
            "difference_low": one.shift.low,
            "difference_high": one.shift.high,
            "only_with": sum(old != one.label == new for old, new in both),
            "only_without": sum(old == one.label != new for old, new in both),
            "p": None,
        }
        for one in shifts([old for old, _ in both], [new for _, new in both])
    ]
