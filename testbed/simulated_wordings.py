"""Coded posts, and a model whose answers depend on the wording by a known amount, or not at all."""

import hashlib
import random
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from functools import cache
from math import ceil

import numpy as np

from bsky_assets.contracts.codebooks import Codebook
from bsky_assets.labelling.asking.budget import Budget
from bsky_assets.labelling.asking.prompt import codebook_prompt
from bsky_assets.labelling.asking.questions import make_question
from bsky_assets.labelling.optimising.coded import Coded

LABELS = ("yes", "no")
ADVICE = "Mind irony."
"""What helps in a world in which a wording can."""
_TOKENS = 600
_DAY = date(2026, 3, 2)

CODEBOOK = Codebook.model_validate(
    {
        "name": "toxic",
        "question": "Is the post toxic?",
        "instructions": "Judge the tone.",
        "answer": {
            "type": "one_of",
            "labels": {"yes": {"definition": "It is."}, "no": {"definition": "It is not."}},
        },
    }
)


def coded_posts(count: int, seed: int, *, authors: int = 0, days: int = 10) -> list[Coded]:
    """So many posts with labels, by about as many authors, of so many days."""
    dice = random.Random(seed)
    return [
        Coded(
            question=make_question(f"World {seed} has post number {number}."),
            author=f"did:plc:{dice.randrange(authors or 2 * count)}",
            day=_DAY + timedelta(days=dice.randrange(days)),
            label=dice.choice(LABELS),
        )
        for number in range(count)
    ]


class SimulatedModel:
    """Right about a post with a chance of `accuracy`, and of `gain` more by a wording with ADVICE.

    Each wording is right about other posts, as that of a real model would be.
    """

    def __init__(
        self, seed: int, *, accuracy: float = 0.7, gain: float = 0.0, requests: int = 400
    ) -> None:
        self.budget = Budget(requests, requests * _TOKENS)
        self._seed, self._accuracy, self._gain = seed, accuracy, gain
        self._dice = random.Random(seed)

    def version(self, codebook: Codebook) -> str:
        """Of the prompt that would be sent."""
        return codebook_prompt((codebook,)).version

    def answers(self, codebook: Codebook, posts: Sequence[Coded]) -> list[str | None]:
        """A label each."""
        self._spend(ceil(len(posts) / 10))
        chance = self._accuracy + self._gain * (ADVICE in codebook.instructions)
        words = codebook.model_dump_json()
        return [self._said(words, post, chance) for post in posts]

    def write(self, _prompt: str, _in_sight: Collection[str]) -> str:
        """A new wording; one of five has the advice."""
        self._spend(1)
        advice = f" {ADVICE}" if self._dice.random() < 0.2 else ""
        return f"```\nJudge it in way {self._dice.randrange(10**6)}.{advice}\n```"

    def expected(self, codebook: Codebook) -> float:
        """Its true accuracy by a wording."""
        return self._accuracy + self._gain * (ADVICE in codebook.instructions)

    def _said(self, words: str, post: Coded, chance: float) -> str:
        # Posts differ in how hard they are, so that two wordings mostly err on the same ones.
        hard = _number(f"{self._seed} {post.question.hash}")
        own = _number(f"{self._seed} {words} {post.question.hash}")
        is_right = _threshold(chance) > 0.6 * hard + 0.4 * own
        return post.label if is_right else next(one for one in LABELS if one != post.label)

    def _spend(self, requests: int) -> None:
        for _ in range(requests):
            self.budget.book(_TOKENS)
            self.budget.settle(_TOKENS, _TOKENS)


def _number(text: str) -> float:
    """From 0 to 1, by chance."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


_MIXED = np.random.default_rng(0).random((100_000, 2)) @ [0.6, 0.4]


@cache
def _threshold(chance: float) -> float:
    """Below it is what two numbers make together, with this chance."""
    return float(np.quantile(_MIXED, chance))
