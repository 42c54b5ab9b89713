"""Names and events in the news: words of titles that are frequent there and rare in posts.

There is no list of names. A term is one word or two in a row; it is in the news if several copies
of articles have it in their titles, and titles far more often than posts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from itertools import pairwise

_FEWEST_COPIES = 2
"""Copies of articles that must have a term in their titles."""
_TIMES_AS_FREQUENT = 4.0
"""So many times as frequent as in posts it must be in titles."""
_LETTERS = 4
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_PROPER = re.compile(r"(?<=[a-z,] )[A-Z][^\W\d_]{2,}")
"""A word with a capital that begins no sentence."""
_OWN = re.compile(r"['’]s$")


def terms(text: str) -> set[str]:
    """The terms of a text: its words of some length, and each two in a row."""
    words = [_OWN.sub("", word) for word in _WORD.findall(text.lower())]
    long = {word for word in words if len(word) >= _LETTERS and not word.isdecimal()}
    pairs = (pair for pair in pairwise(words) if len("".join(pair)) > _LETTERS)
    return long.union(map(" ".join, pairs))


def proper_names(title: str) -> set[str]:
    """The words of a title with a capital, of some length; its first word is one of them."""
    words = {_OWN.sub("", word) for word in _WORD.findall(title) if word[0].isupper()}
    return {word.lower() for word in words if len(word) >= _LETTERS}


def names_in_the_news(
    titles: Mapping[str, tuple[str, int]], posts: Iterable[str]
) -> frozenset[str]:
    """The terms that are in the news, by title and number of copies of each article; the texts of
    `posts` are the background."""
    copies = Counter[str]()
    for title, count in titles.values():
        copies.update(dict.fromkeys(terms(title), count))
    often = {term: count for term, count in copies.items() if count >= _FEWEST_COPIES}
    background, texts = Counter[str](), 0
    for text in posts:
        background.update(term for term in terms(text) if term in often)
        texts += 1
    every = sum(count for _, count in titles.values())
    return frozenset(
        term
        for term, count in often.items()
        if count / (every + 1) >= _TIMES_AS_FREQUENT * (background[term] + 0.5) / (texts + 1)
    )


def shared_name(text: str, names: Set[str], article: Set[str]) -> str | None:
    """The name in the news that shows that `text` may be about an article with these terms.

    One term is not enough, since a town or a court is in many stories: a second one that has no
    word of the first must be in both. Of a text with proper names one must be among the terms.
    """
    shared = terms(text) & names & article
    proper = {word.lower() for word in _PROPER.findall(text)}
    named = {term for term in shared if proper.issuperset(term.split())}
    if proper and not named:
        return None
    for term in sorted(named or shared, key=lambda one: (-len(one), one)):
        words = set(term.split())
        if any(words.isdisjoint(other.split()) for other in shared):
            return term
    return None
