"""The topics of a day: articles that belong together, and the posts that are told of them.

A topic has only articles that were out before each of its posts, and within the window of each, so
that one summary of them can be told to all.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

MOST_ARTICLES = 8
"""Of a topic, the latest."""


def topics_of(
    opened: Mapping[str, str],
    at: Mapping[str, datetime],
    published: Mapping[str, datetime],
    window: timedelta,
    is_same_story: Callable[[str, str], bool],
) -> dict[str, list[str]]:
    """The articles of each post's topic, by its URI, earliest first.

    `opened` has the nearest article of each post that may be told of one; `at` is when posts were
    written, `published` when articles appeared.
    """
    stories: dict[str, list[str]] = {}
    for uri in sorted(opened, key=lambda one: (at[one], one)):
        article = opened[uri]
        seed = next((one for one in stories if is_same_story(one, article)), article)
        stories.setdefault(seed, []).append(uri)
    topics: dict[str, list[str]] = {}
    for seed, uris in stories.items():
        first, last = at[uris[0]], at[uris[-1]]
        out = [one for one, then in published.items() if last - window <= then <= first]
        about = sorted(
            (one for one in out if is_same_story(seed, one)), key=lambda one: (published[one], one)
        )
        topics |= dict.fromkeys(uris, about[-MOST_ARTICLES:])
    return topics


def told_topic(articles: Sequence[str] | None) -> dict[str, Any]:
    """The columns of `news_context` about a topic; nulls where there is none."""
    if not articles:
        return {"topic_id": None, "topic_articles": None}
    digest = hashlib.sha256("\n".join(articles).encode()).hexdigest()
    return {"topic_id": digest[:16], "topic_articles": [*articles]}
