"""Coded posts in three parts: to learn from, to choose by, and a sealed test.

No author, no sync day and no text is in two parts, so that what the search learns of one part is
not known of another. A day goes to a part, an author to where most of their posts are, and the few
posts that are torn between parts are left out. Coded posts of fewer than three days are divided by
author and text alone. Where each went is kept, as hashes, so that what was in a test stays there
when more posts are coded.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bsky_assets.labelling.optimising.coded import CannotOptimise, Coded
from bsky_assets.storage.files import write_json

TRAIN, DEVELOPMENT, TEST = "train", "development", "test"
TARGETS = {TRAIN: 0.25, DEVELOPMENT: 0.25, TEST: 0.5}
"""The test is half: it has to show the gain, and the search only to find it."""
LEAST = {TRAIN: 8, DEVELOPMENT: 12, TEST: 20}
_DAYS = 3


@dataclass(frozen=True, slots=True)
class Division:
    """Coded posts, each in one part alone."""

    train: Sequence[Coded]
    development: Sequence[Coded]
    test: Sequence[Coded]
    left_out: int
    """Posts torn between parts."""
    is_by_day: bool


def divide(posts: Sequence[Coded], file: Path) -> Division:
    """Divide `posts` as before, as far as `file` knows, and keep there where new ones went.

    Raises:
        CannotOptimise: there are too few.
    """
    kept = orjson.loads(file.read_bytes()) if file.is_file() else {}
    days = {post.day for post in posts}
    is_by_day = bool(kept.get("is_by_day", None not in days and len(days) >= _DAYS))
    ways: list[Callable[[Coded], str]] = [*[_day] * is_by_day, _author, _text]
    places: list[Mapping[str, str]] = []
    for number, way in enumerate(ways):
        before = (ways[number - 1], places[-1]) if places else None
        places.append(_placed(posts, way, kept.get("places", {}), before))
    parts: dict[str, list[Coded]] = {part: [] for part in TARGETS}
    for post in posts:
        named = {place[way(post)] for way, place in zip(ways, places, strict=True)}
        if len(named) == 1:
            parts[named.pop()].append(post)
    if short := [part for part, least in LEAST.items() if len(parts[part]) < least]:
        counted = ", ".join(f"{len(parts[part])} for {part}" for part in parts)
        needed = ", ".join(f"{least} for {part}" for part, least in LEAST.items())
        raise CannotOptimise(
            f"too few coded posts for {short[0]}: {len(posts)} of them make {counted}, and it "
            f"takes {needed}; code more, of more authors and days"
        )
    known = {**kept.get("places", {}), **{unit: p[unit] for p in places for unit in p}}
    write_json(file, {"is_by_day": is_by_day, "places": known})
    left = len(posts) - sum(map(len, parts.values()))
    return Division(parts[TRAIN], parts[DEVELOPMENT], parts[TEST], left, is_by_day)


def _placed(
    posts: Sequence[Coded],
    way: Callable[[Coded], str],
    kept: Mapping[str, str],
    before: tuple[Callable[[Coded], str], Mapping[str, str]] | None,
) -> dict[str, str]:
    """The part of each day, author or text: the one that it had, the one where most of its posts
    are by what was placed before, or the one that lacks most."""
    sizes = Counter(map(way, posts))
    votes: dict[str, Counter[str]] = {unit: Counter() for unit in sizes}
    if before:
        other, place = before
        for post in posts:
            votes[way(post)][place[other(post)]] += 1
    placed: dict[str, str] = {}
    filled: Counter[str] = Counter()
    for unit in sorted(sizes):  # of hashes: by chance, and the same each time
        most = sorted(votes[unit].items(), key=lambda one: (-one[1], one[0]))
        part = kept.get(unit) or (most[0][0] if most else _lacking(filled, len(posts)))
        placed[unit] = part
        filled[part] += sizes[unit]
    return placed


def _lacking(filled: Mapping[str, int], posts: int) -> str:
    return max(TARGETS, key=lambda part: TARGETS[part] * posts - filled.get(part, 0))


def _day(post: Coded) -> str:
    return _hash("day", str(post.day))


def _author(post: Coded) -> str:
    return _hash("author", post.author)


def _text(post: Coded) -> str:
    return _hash("text", post.question.text_hash)


def _hash(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind} {value}".encode()).hexdigest()[:32]


def identity(posts: Iterable[Coded]) -> list[str]:
    """What tells these posts from others, without a word of them."""
    return sorted(_hash("question", post.question.hash) for post in posts)
