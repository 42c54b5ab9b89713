"""The sandbox's network on one day: its accounts, posts, feeds, labels and the stream of events.

Everything comes from a seed, so that it can be made again. What belongs here: what there is to
serve. What does not: how it comes about (`generation`), and serving it.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from bsky_sandbox.accounts import PROFILE, SandboxAccount
from bsky_sandbox.generation import GAP, Day, PostDraft
from bsky_sandbox.moderation import LABELER_DID, Labeler, SandboxLabel
from bsky_sandbox.posts import POST, Json, SandboxPost, at_micros, micros_of
from bsky_sandbox.stream import Event, Op, Stream
from bsky_sandbox.truth import truth

__all__ = ["Event", "Op", "SandboxAccount", "SandboxLabel", "SandboxPost", "World"]

_FEEDS_DID = "did:plc:sandboxfeedssandboxfeeds"
_LEAST_EVENTS = 20

_SHORTEST = timedelta(hours=1)
_FIRST_ORDINAL = 737_000
_SEQS_A_DAY = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the sandbox's servers serve."""

    seed: int
    day: date
    posts: Sequence[SandboxPost]
    """Every post there is, oldest first: some from before the day, then those of the stream."""
    accounts: Sequence[SandboxAccount]
    feed_items: Sequence[SandboxPost]
    """The posts of the feed in its order, the most liked first."""
    feed_uri: str
    private_feed_uri: str
    """A feed with the same posts for those who are logged in."""
    labels: Sequence[SandboxLabel]
    """In the order of the labeler's stream."""
    labeler_did: str
    events: Sequence[Event]
    """In stream order, numbered without a gap; made anew each time they are looked at."""
    profiles_before: Sequence[tuple[str, Json]]
    """DID and record of each profile that was there before the stream begins."""

    @classmethod
    def generate(
        cls, seed: int = 0, *, day: date, events: int = 30_000, now: datetime | None = None
    ) -> "World":
        """The world of a seed: the same for the same day, number of events and end of the day.

        The events are spread over `day` (in UTC) up to `now`, and where that is less than an
        hour, over the hour before `now`.

        Raises:
            ValueError: `events` is less than 20 or more than ten million.
        """
        if not _LEAST_EVENTS <= events < _SEQS_A_DAY:
            raise ValueError(f"{events} events: must be from {_LEAST_EVENTS} to {_SEQS_A_DAY - 1}")
        rng = Random(f"{seed}-{day}")
        start, end = _span(day, now or datetime.now(UTC))
        made = Day(rng, _times(rng, start, end, events), day.isoformat())
        accounts = [draft.finished() for draft in made.directory.drafts]
        feed = made.feed()
        in_feed = set(feed)
        made.posts.reverse()
        posts: list[SandboxPost] = []
        while made.posts:  # one by one, so that a large world is not there twice
            post = made.posts.pop()
            account = accounts[post.account]
            posts.append(_finished(post, account, in_feed=len(posts) in in_feed))
        first_seq = (day.toordinal() - _FIRST_ORDINAL) * _SEQS_A_DAY + 1
        labels = Labeler(rng, end).labels(
            posts, accounts, made.directory.of("en", "spammer"), first_seq, start
        )
        return cls(
            seed=seed,
            day=day,
            posts=posts,
            accounts=accounts,
            feed_items=[posts[place] for place in feed],
            feed_uri=f"at://{_FEEDS_DID}/app.bsky.feed.generator/catch-up",
            private_feed_uri=f"at://{_FEEDS_DID}/app.bsky.feed.generator/mutuals",
            labels=labels,
            labeler_did=LABELER_DID,
            events=Stream(made.columns, first_seq, posts, accounts),
            profiles_before=made.profiles_before,
        )

    def records_before(self) -> Iterator[tuple[str, str, Json]]:
        """DID, path and record of what repositories hold before the stream begins."""
        for did, profile in self.profiles_before:
            yield did, f"{PROFILE}/self", profile
        for post in self.posts:
            if not post.in_firehose:
                yield post.did, f"{POST}/{post.rkey}", post.record

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """What a run must come to; see `truth`."""
        return truth(self.posts, self.feed_items, self.labels, self.events)


def _span(day: date, now: datetime) -> tuple[int, int]:
    midnight = datetime.combine(day, time(), UTC)
    end = min(now.astimezone(UTC), midnight + timedelta(days=1))
    start = min(midnight, end - _SHORTEST)
    return micros_of(start), micros_of(end)


def _times(rng: Random, start: int, end: int, events: int) -> "array[int]":
    """Instants in a span, sorted and with room for the records of each."""
    room = end - start - GAP * (events + 1)
    instants = sorted(int(rng.random() * room) for _ in range(events))
    return array("q", (start + GAP * number + at for number, at in enumerate(instants, 1)))


def _finished(post: PostDraft, account: SandboxAccount, *, in_feed: bool) -> SandboxPost:
    written = post.written
    return SandboxPost(
        uri=post.uri,
        cid=post.cid,
        rkey=post.rkey,
        did=account.did,
        handle=account.handle,
        display_name=account.display_name,
        record=post.record,
        language=written.language,
        is_bot=account.is_bot,
        is_nsfw=written.is_nsfw,
        is_spam=written.is_spam,
        is_hate_speech=written.is_hate_speech,
        is_political=written.is_political,
        ideology=written.ideology,
        is_deleted=post.is_deleted,
        account_status=account.status,
        was_updated=post.was_updated,
        in_firehose=post.op >= 0,
        in_feed=in_feed,
        like_count=post.likes,
        reply_count=post.replies,
        repost_count=post.reposts,
        quote_count=post.quotes,
        created_at=at_micros(post.created_at),
        indexed_at=at_micros(post.indexed_at),
    )
