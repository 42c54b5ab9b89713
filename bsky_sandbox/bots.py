"""The programs among the accounts: each posts by its own beat, and some say always the same."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bsky_sandbox.accounts import LANGUAGES, Directory
from bsky_sandbox.records import SITES
from bsky_sandbox.writing import Writer, Written

_SHARE_OF_ENGLISH = 0.06
_ENGLISH_A_EVENT = 0.2 * 0.2
_POSTS = 14
_SAME_ONE_IN = 3


@dataclass(frozen=True, slots=True)
class Bot:
    """A program that posts."""

    account: int
    language: str
    site: str
    """Whose articles it passes on."""
    text: str | None
    """What it always says; None if it is something new each time."""

    def says(self, writer: Writer) -> Written:
        """Its next post."""
        if self.text is not None:
            return Written(self.text, self.language, is_verbatim=True)
        return writer.mirrored(self.language, self.site)


def english_bots(events: int) -> int:
    """How many programs there are that post in English."""
    return max(1, round(events * _ENGLISH_A_EVENT * _SHARE_OF_ENGLISH / _POSTS))


def plan_bots(
    rng: Random, times: Sequence[int], directory: Directory, writer: Writer
) -> dict[int, Bot]:
    """At which events which program posts: at the nearest that is free after each beat."""
    start, span = times[0], times[-1] - times[0]
    planned: dict[int, Bot] = {}
    for language in LANGUAGES:
        for place, account in enumerate(directory.of(language, "bot")):
            same = language == "en" and place % _SAME_ONE_IN == 1
            text = writer.repeated() if same else None
            bot = Bot(account, language, rng.choice(SITES), text)
            posts = rng.randint(_POSTS // 2, _POSTS * 3 // 2)
            posts = min(posts, 2 + len(times) // 500)
            beat = span // (posts + 1)
            first = start + int(rng.random() * beat)
            for number in range(posts):
                at = min(bisect_left(times, first + number * beat), len(times) - 1)
                while at in planned and at + 1 < len(times):
                    at += 1
                planned.setdefault(at, bot)
    return planned
