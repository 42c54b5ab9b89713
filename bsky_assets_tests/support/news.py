"""Posts of a day, and what some of them are told of the news."""

from typing import Any

from testbed.rows import NOON, filtered_post

TEXTS = [
    "Left is what this post is",
    "Right turn ahead for the senate",
    "A garden of roses",
    "Unclear, as news is",
    "Moderate views, é and 🙂",
]
ON = {"news_feeds": {"wire": "https://wire.example/rss"}, "news_context": "on"}


def told(number: int, gate: str, name: str | None = "senate") -> dict[str, Any]:
    return {
        "uri": filtered_post(number, "")["uri"],
        "article_id": f"article{number}",
        "gate": gate,
        "name": name,
        "distance": 0.3,
        "margin": 0.2,
        "rank": 1,
        "told": f"wire, 2026-03-08: Senate votes {number}.",
        "model": "m",
    }


def article(number: int) -> dict[str, Any]:
    return {
        "article_id": f"article{number}",
        "url": f"https://wire.example/{number}",
        "title": f"Senate votes {number}",
        "text": "",
        "outlets": [{"name": "wire", "side": None, "url": f"https://wire.example/{number}"}],
        "published_at": NOON,
        "is_dated": True,
        "received_at": NOON,
        "source": "feed",
    }
