"""What each side says of a topic: the sandbox knows the articles that it wrote itself.

What does not belong here: the form of the answer (`schema_answers`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

from bsky_sandbox.grammar import texts

_BETWEEN = "moderate"
"""The side of an outlet that is on none."""

Views = Mapping[str, tuple[str, Sequence[str]]]
"""By side: its argument, and the keys of the articles that say so."""


def views_in(message: str) -> dict[str, Views]:
    """The views of each topic in a message, by its key; a topic is an object with `articles`."""
    if '"articles":' not in message:
        return {}
    try:
        topics = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return {
        key: _views(topic["articles"])
        for key, topic in (topics.items() if isinstance(topics, dict) else ())
        if isinstance(topic, dict) and isinstance(topic.get("articles"), dict)
    }


def _views(articles: Mapping[str, object]) -> Views:
    """Whoever reports an event of the sandbox says what its outlet's side does."""
    said: dict[str, list[str]] = defaultdict(list)
    titles: dict[str, str] = {}
    for key, article in articles.items():
        if isinstance(article, dict) and _title().fullmatch(str(article.get("title"))):
            side = str(article.get("side", _BETWEEN))
            said[side].append(key)
            titles.setdefault(side, article["title"])
    return {
        side: (f"{titles[side]}. The {side} outlets report it so.", keys)
        for side, keys in said.items()
    }


@cache
def _title() -> re.Pattern[str]:
    titles = [title for kind in texts("news")["events"] for title in kind["titles"]]
    return re.compile("|".join(re.escape(one).replace(r"\{place\}", ".+") for one in titles))
