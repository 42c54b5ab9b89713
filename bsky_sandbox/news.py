"""What outlets report of events that the sandbox's posts speak of, and which post is about what.

Articles are made from the posts that are there, so that a world is the same with news and without.
Some events are reported only after the posts about them, some long before, and some that are
reported no post speaks of. What belongs here: articles and what is true of them. What does not:
serving them (`news_server`).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from bsky_sandbox.grammar import texts
from bsky_sandbox.posts import SandboxPost
from bsky_sandbox.world import World

_OUTLETS = ("wire", "herald", "tribune")
"""An agency, an outlet with its copies, and one with words of its own."""
_REPORTED, _UNSPOKEN = 40, 12
_LATE, _OLD = 6, 7
"""Every so many events are reported too late, or too early."""
_HOURS = (1.0, 60.0)


@dataclass(frozen=True, slots=True)
class SandboxArticle:
    """An article of one outlet."""

    event: str
    """Kind and place of what it reports."""
    outlet: str
    url: str
    title: str
    text: str
    published_at: datetime


@dataclass(frozen=True)
class News:
    """What is reported, and what is true of it."""

    articles: Sequence[SandboxArticle]
    events: Mapping[str, str]
    """By URI of a post, what it is about."""
    reported: Mapping[str, str]
    """The same of those that are about what an article had told before, within two weeks."""

    @classmethod
    def of(cls, world: World) -> "News":
        """The news of a world; the same for the same world."""
        rng = Random(f"{world.seed}-{world.day}-news")
        spoken = _spoken(world.posts)
        chosen = rng.sample(sorted(spoken), min(_REPORTED, len(spoken)))
        articles: list[SandboxArticle] = []
        for number, event in enumerate(chosen):
            first, last = min(spoken[event].values()), max(spoken[event].values())
            at = first - timedelta(hours=rng.uniform(*_HOURS))
            if number % _LATE == _LATE - 1:
                at = last + (world.events[-1].time - last) * rng.random()
            elif number % _OLD == _OLD - 1:
                at = first - timedelta(days=20)
            articles += _articles(event, at, rng)
        others = sorted({*_every_event()} - spoken.keys())
        for event in rng.sample(others, min(_UNSPOKEN, len(others))):
            at = world.events[0].time - timedelta(hours=rng.uniform(*_HOURS))
            articles += _articles(event, at, rng)
        events = {uri: event for event, posts in spoken.items() for uri in posts}
        return cls(articles, events, _reported(spoken, articles))


def _spoken(posts: Sequence[SandboxPost]) -> dict[str, dict[str, datetime]]:
    """The events that posts speak of, and when each post does, by its URI."""
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    patterns = [(number, _pattern(kind)) for number, kind in enumerate(_kinds())]
    for post in posts:
        if post.is_political and post.in_firehose:
            for number, pattern in patterns:
                if match := pattern.search(str(post.record.get("text", ""))):
                    found[f"{number}/{match['place']}"][post.uri] = post.indexed_at
    return dict(found)


def _reported(
    spoken: Mapping[str, Mapping[str, datetime]], articles: Sequence[SandboxArticle]
) -> dict[str, str]:
    """The posts about an event of which an article had told before, within two weeks."""
    return {
        uri: event
        for event, posts in spoken.items()
        for uri, at in posts.items()
        if any(
            article.event == event
            and timedelta(0) <= at - article.published_at <= timedelta(days=14)
            for article in articles
        )
    }


def _articles(event: str, at: datetime, rng: Random) -> Iterator[SandboxArticle]:
    """The same event by each outlet, within an hour."""
    number, _, place = event.partition("/")
    kind = _kinds()[int(number)]
    for place_in_row, outlet in enumerate(_OUTLETS):
        words = kind["own"] if outlet == "tribune" else kind["text"]
        slug = f"{place.replace(' ', '-').lower()}-{number}"
        yield SandboxArticle(
            event=event,
            outlet=outlet,
            url=f"https://{outlet}.sandbox.test/{at:%Y/%m/%d}/{slug}",
            title=kind["titles"][0 if outlet == "herald" else place_in_row].format(place=place),
            text=words.format(place=place),
            published_at=at + timedelta(minutes=rng.uniform(0, 30) * place_in_row),
        )


def _kinds() -> Sequence[Mapping[str, Any]]:
    kinds: Sequence[Mapping[str, Any]] = texts("news")["events"]
    return kinds


def _places() -> list[str]:
    slots = texts("en_politics")["slots"]
    return [*slots["town"], *slots["state"]]


def _pattern(kind: Mapping[str, Any]) -> re.Pattern[str]:
    places = "|".join(map(re.escape, _places()))
    return re.compile(re.escape(kind["pattern"]).replace("PLACE", f"(?P<place>{places})"))


def _every_event() -> Iterator[str]:
    for number in range(len(_kinds())):
        for place in _places():
            yield f"{number}/{place}"
