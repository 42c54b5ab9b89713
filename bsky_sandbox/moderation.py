"""The labels that the sandbox's labeler puts on posts and accounts, and takes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bsky_sandbox.accounts import SandboxAccount
from bsky_sandbox.posts import SandboxPost, at_micros, micros_of, timestamp

LABELER_DID = "did:plc:sandboxlabelersandboxlab"

_DAY = 86_400_000_000
_MINUTE = 60_000_000
_MISTAKES = ("porn", "sexual", "nudity", "graphic-media", "spam", "intolerant", "threat", "rude")
_HARMLESS = ("sandbox-opinion", "rude", "!warn", "misleading")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLabel:
    """A label applied to a post or an account, or taken back (com.atproto.label.defs#label)."""

    seq: int
    """Its number in the labeler's stream."""
    src: str
    uri: str
    """AT URI of a post, or DID of an account."""
    cid: str | None
    """The version of the post that it is on; None for all."""
    val: str
    neg: bool
    cts: str
    exp: str | None


@dataclass(slots=True)
class _Said:
    at: int
    uri: str
    cid: str | None
    val: str
    neg: bool = False
    exp: int | None = None


class Labeler:
    """Looks at posts and accounts, and says what it makes of some of them."""

    def __init__(self, rng: Random, end: int) -> None:
        """Say nothing after `end` (microseconds since 1970)."""
        self._rng = rng
        self._end = end
        self._said: list[_Said] = []

    def labels(
        self,
        posts: Sequence[SandboxPost],
        accounts: Sequence[SandboxAccount],
        spammers: Sequence[int],
        first_seq: int,
        start: int,
    ) -> list[SandboxLabel]:
        """All labels in order. Accounts are looked at from `start` on."""
        for post in posts:
            self._look_at_post(post)
        for place in spammers:
            if self._rng.random() < 0.25:
                self._say(start, accounts[place].did, None, "spam")
        for account in accounts:
            self._look_at_account(account, start)
        self._said.sort(key=lambda said: said.at)
        return [self._label(seq, said) for seq, said in enumerate(self._said, first_seq)]

    def _look_at_post(self, post: SandboxPost) -> None:
        rng = self._rng
        chance = rng.random()
        val = None
        if post.is_nsfw and chance < 0.5:
            val = rng.choice(("porn", "porn", "sexual", "nudity"))
        elif post.is_spam and chance < 0.25:
            val = "spam"
        elif post.is_hate_speech and chance < 0.5:
            val = rng.choice(("intolerant", "intolerant", "threat"))
        if val:
            cid = post.cid if rng.random() < 0.7 and not post.was_updated else None
            lasting = None if rng.random() < 0.9 else self._end + 30 * _DAY
            self._say(micros_of(post.indexed_at), post.uri, cid, val, exp=lasting)
        elif chance > 0.994 and not (post.is_nsfw or post.is_spam or post.is_hate_speech):
            self._err(micros_of(post.indexed_at), post.uri)
        elif chance > 0.99:
            at = micros_of(post.indexed_at)
            self._say(at, post.uri, post.cid, rng.choice(_HARMLESS))

    def _err(self, at: int, uri: str) -> None:
        """Label what does not deserve it, and take it back or let it lapse."""
        val = self._rng.choice(_MISTAKES)
        if self._rng.random() < 0.3:
            self._say(at, uri, None, val, exp=self._end - 1000)
            return
        at = self._say(at, uri, None, val)
        self._say(at, uri, None, val, neg=True)

    def _look_at_account(self, account: SandboxAccount, start: int) -> None:
        chance = self._rng.random()
        if chance < 0.004:
            self._err(start, account.did)
        elif chance < 0.008:
            self._say(start, account.did, None, self._rng.choice(_HARMLESS))
        elif account.is_bot and chance < 0.1:
            self._say(start, account.did, None, "bot")

    def _say(
        self,
        after: int,
        uri: str,
        cid: str | None,
        val: str,
        *,
        neg: bool = False,
        exp: int | None = None,
    ) -> int:
        """Say it some time after an instant, but before the end; when."""
        after = min(after, self._end - 10_000)
        latest = min(after + 90 * _MINUTE, self._end - 5_000)
        at = after + 1_000 + int(self._rng.random() * max(latest - after - 1_000, 1))
        self._said.append(_Said(at, uri, cid, val, neg, exp))
        return at

    def _label(self, seq: int, said: _Said) -> SandboxLabel:
        return SandboxLabel(
            seq=seq,
            src=LABELER_DID,
            uri=said.uri,
            cid=said.cid,
            val=said.val,
            neg=said.neg,
            cts=timestamp(at_micros(said.at)),
            exp=None if said.exp is None else timestamp(at_micros(said.exp)),
        )
