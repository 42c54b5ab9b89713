"""A day of the network, made up event by event.

What belongs here: who does what, when and to whom. What does not: what posts say (`writing`),
how records look (`records`), and what is made public of it all (`world`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from bsky_sandbox.accounts import BOT, LANGUAGES, Directory, Role, self_labels
from bsky_sandbox.bots import Bot, english_bots, plan_bots
from bsky_sandbox.posts import POST, AccountStatus, Json, cid_of, tid
from bsky_sandbox.records import Context, make_record, updated
from bsky_sandbox.stream import (
    BLOCK,
    BLOG,
    BOOKMARK,
    FOLLOW,
    LIKE,
    PROFILE,
    REPOST,
    THREADGATE,
    Action,
    Columns,
    Kind,
)
from bsky_sandbox.writing import Writer, Written

_LEAST_FEED = 20

_POST_SHARE = 0.186
_EVENTS_A_CAMPAIGN = 8_000
_SMALL = 600
"""Fewer events have too few posts to fill half of a feed."""
GAP = 8
"""The least distance between events, in microseconds: as many records can be made in one."""
_HOUR = 3_600_000_000
_SEVERAL = 0.05
_FEED_ENGLISH = 0.79
_UNDONE = 0.25
"""Of how many likes and follows it is remembered that they can be taken back."""
_TRIES = 8
_STATUSES: tuple[AccountStatus, ...] = ("deleted", "takendown", "suspended", "deactivated")


@dataclass(slots=True)
class PostDraft:
    """A post while its day is being made up."""

    account: int
    uri: str
    cid: str
    rkey: str
    record: Json
    written: Written
    created_at: int
    indexed_at: int
    op: int
    """The operation that creates it; -1 if that was before the day."""
    is_deleted: bool = False
    was_updated: bool = False
    likes: int = 0
    replies: int = 0
    reposts: int = 0
    quotes: int = 0


class Day:
    """The events of a day, and the posts and accounts that they leave."""

    def __init__(self, rng: Random, times: Sequence[int], day: str) -> None:
        """Make up what happens at `times`: microseconds since 1970, increasing by `GAP`."""
        self.rng = rng
        self.columns = Columns()
        self.posts: list[PostDraft] = []
        self._times = times
        self._feed_size = max(_LEAST_FEED, len(times) // 30)
        self.directory = Directory(rng, len(times), english_bots(len(times)), day)
        self._programs = [
            place for place, draft in enumerate(self.directory.drafts) if draft.role == "bot"
        ]
        self._writer = Writer(rng, max(3, len(times) // _EVENTS_A_CAMPAIGN))
        self._by_language: dict[str, list[int]] = {}
        self._likes: list[tuple[int, int, int]] = []
        self._follows: list[tuple[int, int, int]] = []
        self._gone: list[int] = []
        self._now = 0
        self._made = 0
        self.profiles_before = [
            (draft.did, draft.profile) for draft in self.directory.drafts if draft.has_profile
        ]
        self._write_older_posts()
        self._first_of_day = len(self.posts)
        self._bots = plan_bots(rng, times, self.directory, self._writer)
        self._run()

    def feed(self) -> list[int]:
        """The places of the posts in the feed: most in English, about half from before the day."""
        rng, size = self.rng, self._feed_size
        older = list(range(self._first_of_day))
        chosen = set(older)
        english = round((size - len(older)) * _FEED_ENGLISH)
        places = list(range(self._first_of_day, len(self.posts)))
        rng.shuffle(places)
        wanted = {True: english, False: size - len(older) - english}
        for place in places:
            post = self.posts[place]
            is_english = post.written.language == "en"
            if wanted[is_english] and self._is_likeable(post):
                wanted[is_english] -= 1
                chosen.add(place)
        for place in chosen:
            post = self.posts[place]
            post.likes += min(90_000, int(25 * rng.paretovariate(0.8)))
            post.reposts += int(post.likes * rng.uniform(0.05, 0.4))
            post.replies += int(post.likes * rng.uniform(0.01, 0.15))
            post.quotes += int(post.likes * rng.uniform(0, 0.03))
        return sorted(chosen, key=lambda place: -self.posts[place].likes)

    def _is_likeable(self, post: PostDraft) -> bool:
        written, draft = post.written, self.directory.drafts[post.account]
        if written.is_spam or written.is_hate_speech or draft.role == "bot":
            return self.rng.random() < 0.08
        return not post.is_deleted or self.rng.random() < 0.2

    # Posts

    def _write_older_posts(self) -> None:
        start = self._times[0]
        small = len(self._times) < _SMALL
        count = self._feed_size if small else self._feed_size // 2
        for number in range(count):
            created_at = start - 48 * _HOUR + number * (47 * _HOUR // count)
            created_at += int(self.rng.random() * _HOUR) % (47 * _HOUR // count)
            language = "en" if self.rng.random() < _FEED_ENGLISH else self._language()
            role: Role = "person"
            if self.rng.random() < 0.04:
                role = "nsfw"
            account = self.directory.pick(language, role)
            written = self._text(language, role, reply=False)
            self._post(account, written, created_at, created_at + 900_000, op=-1)

    def _language(self) -> str:
        names = list(LANGUAGES)
        return self.rng.choices(names, list(LANGUAGES.values()))[0]

    def _text(self, language: str, role: Role, *, reply: bool) -> Written:
        if role == "spammer":
            return self._writer.spam()
        if role == "nsfw":
            return self._writer.nsfw(language)
        return self._writer.person(language, reply=reply)

    def _post(
        self,
        account: int,
        written: Written,
        created_at: int,
        indexed_at: int,
        op: int,
        context: Context | None = None,
    ) -> int:
        """Put a post among the posts; its place."""
        draft = self.directory.drafts[account]
        lag = int(self.rng.random() * 2_500_000)
        context = context or Context(created_at - lag)
        record = make_record(self.rng, written, context, self.directory.by_handle)
        rkey = tid(created_at << 10 | account & 1023)
        uri = f"at://{draft.did}/{POST}/{rkey}"
        post = PostDraft(
            account, uri, cid_of(record), rkey, record, written, created_at, indexed_at, op
        )
        self.posts.append(post)
        place = len(self.posts) - 1
        if "labels" not in record or not written.is_nsfw:
            self._by_language.setdefault(draft.language, []).append(place)
        return place

    def _create_post(self, account: int, written: Written, context: Context) -> int:
        rkey = self._rkey(account)
        place = self._post(
            account, written, rkey >> 10, self._now, len(self.columns.action), context
        )
        self.columns.add_op("create", POST, rkey, place)
        return place

    def _do_post(self) -> None:
        rng = self.rng
        language = self._language()
        role, hateful = self._role(language)
        account = self.directory.pick(language, role)
        self._commit(account)
        reply = role == "person" and not hateful and rng.random() < 0.3
        context = self._context(language if role == "person" else None, reply=reply)
        if hateful:
            written = self._writer.hate()
        else:
            written = self._text(language, role, reply=context.parent is not None)
        place = self._create_post(account, written, context)
        if rng.random() < _SEVERAL and role == "person":
            self._continue(account, place)

    def _continue(self, account: int, place: int) -> None:
        """More in the same commit: a thread, or who may answer."""
        rng = self.rng
        if rng.random() < 0.4:
            gate = self._number(self.posts[place])
            self.columns.add_op("create", THREADGATE, gate, place)
            return
        language = self.directory.drafts[account].language
        for _ in range(rng.randint(1, 3)):
            context = Context(self._now, parent=self.posts[place])
            self.posts[place].replies += 1
            written = self._text(language, "person", reply=False)
            place = self._create_post(account, written, context)

    def _role(self, language: str) -> tuple[Role, bool]:
        """Who posts, and whether it is hateful. Elsewhere than in English, people do."""
        chance = self.rng.random()
        if language != "en":
            return ("nsfw" if chance < 0.02 else "person"), False
        if chance < 0.064:
            return "nsfw", False
        if chance < 0.149:
            return "spammer", False
        return "person", chance > 0.979

    def _context(self, language: str | None, *, reply: bool) -> Context:
        rng = self.rng
        context = Context(self._now - int(rng.random() * 2_500_000))
        if language is None:
            return context
        if reply and (parent := self._recent(language)) is not None:
            parent.replies += 1
            context.parent = parent
        elif rng.random() < 0.05 and (quoted := self._recent(language)) is not None:
            quoted.quotes += 1
            context.quoted = quoted
        if rng.random() < 0.03:
            context.mention = self.directory.drafts[self.directory.pick(language)].handle
        return context

    def _recent(self, language: str) -> PostDraft | None:
        """A post in `language` that is there, rather a recent one."""
        places = self._by_language.get(language, ())
        for _ in range(_TRIES if places else 0):
            post = self.posts[places[-1 - int(len(places) * self.rng.random() ** 3)]]
            if self._is_there(post):
                return post
        return None

    def _is_there(self, post: PostDraft) -> bool:
        return not post.is_deleted and self.directory.drafts[post.account].status == "active"

    def _any_post(self) -> int | None:
        for _ in range(_TRIES):
            place = int(len(self.posts) * self.rng.random())
            if self._is_there(self.posts[place]):
                return place
        return None

    def _do_bot_post(self, bot: Bot) -> None:
        self._commit(bot.account)
        self._create_post(bot.account, bot.says(self._writer), Context(self._now))

    # Events

    def _run(self) -> None:
        deeds: tuple[tuple[float, Callable[[], None]], ...] = (
            (_POST_SHARE, self._do_post),
            (0.47, self._do_like),
            (0.075, self._do_repost),
            (0.10, self._do_follow),
            (0.03, self._do_unlike),
            (0.02, self._do_unfollow),
            (0.005, self._do_block),
            (0.02, self._do_profile),
            (0.0085, self._do_delete),
            (0.0025, self._do_update),
            (0.015, self._do_other),
            (0.012, self._do_identity),
            (0.0025, self._do_account),
            (0.003, self._do_sync),
        )
        shares = [share for share, _ in deeds]
        acts = [act for _, act in deeds]
        chosen = self.rng.choices(acts, shares, k=len(self._times))
        for index, now in enumerate(self._times):
            self._now, self._made = now, 0
            bot = self._bots.get(index)
            if bot is not None:
                self._do_bot_post(bot)
            else:
                chosen[index]()

    def _commit(self, account: int) -> None:
        self._revise(account, "commit")

    def _revise(self, account: int, kind: Kind) -> None:
        draft = self.directory.drafts[account]
        rev = self._now << 10 | account & 1023
        self.columns.add_event(self._now, kind, account, rev, draft.rev)
        draft.rev = rev

    def _rkey(self, account: int) -> int:
        """A record key that nobody has: an event's records are a microsecond apart."""
        self._made += 1
        return self._now - self._made << 10 | account & 1023

    def _several(self) -> int:
        return self.rng.randint(2, 5) if self.rng.random() < _SEVERAL else 1

    def _do_like(self) -> None:
        self._react(LIKE)

    def _do_repost(self) -> None:
        self._react(REPOST)

    def _react(self, collection: str) -> None:
        if (place := self._any_post()) is None:
            return self._do_post()
        account = self.directory.pick_any()
        self._commit(account)
        targets = {place}
        for _ in range(self._several() - 1):
            if (other := self._any_post()) is not None:
                targets.add(other)
        for target in sorted(targets):
            rkey = self._rkey(account)
            self.columns.add_op("create", collection, rkey, target)
            if collection == LIKE:
                self.posts[target].likes += 1
                if self.rng.random() < _UNDONE:
                    self._likes.append((account, rkey, target))
            else:
                self.posts[target].reposts += 1
        return None

    def _do_follow(self) -> None:
        account = self.directory.pick_any()
        self._commit(account)
        for _ in range(self._several()):
            rkey, other = self._rkey(account), self.directory.pick_any()
            self.columns.add_op("create", FOLLOW, rkey, other)
            if self.rng.random() < _UNDONE:
                self._follows.append((account, rkey, other))

    def _do_block(self) -> None:
        account = self.directory.pick_any()
        self._commit(account)
        self.columns.add_op("create", BLOCK, self._rkey(account), self.directory.pick_any())

    def _do_unlike(self) -> None:
        self._undo(LIKE, self._likes, self._do_like)

    def _do_unfollow(self) -> None:
        self._undo(FOLLOW, self._follows, self._do_follow)

    def _undo(
        self, collection: str, done: list[tuple[int, int, int]], instead: Callable[[], None]
    ) -> None:
        if not done:
            return instead()
        place = int(len(done) * self.rng.random())
        done[place], done[-1] = done[-1], done[place]
        account, rkey, target = done.pop()
        if self.directory.drafts[account].status != "active":
            return instead()
        self._commit(account)
        self.columns.add_op("delete", collection, rkey, target)
        if collection == LIKE:
            self.posts[target].likes -= 1
        return None

    def _do_profile(self) -> None:
        """Someone changes a profile; some programs only now say that they are."""
        rng = self.rng
        account = rng.choice(self._programs) if rng.random() < 0.1 else self.directory.pick_any()
        draft = self.directory.drafts[account]
        profile = {**draft.profile}
        labels = draft.self_labels
        if draft.role == "bot" and rng.random() < 0.8:
            labels = (BOT,)
        elif rng.random() < 0.1:
            labels = () if labels else ("!no-unauthenticated",)
        else:
            profile["description"] = rng.choice(("new here", "back again", "🌙", "on a break", ""))
        profile.pop("labels", None)
        if labels:
            profile["labels"] = self_labels(labels)
        action: Action = "update" if draft.has_profile else "create"
        draft.profile, draft.has_profile = profile, True
        self._commit(account)
        self.columns.add_op(action, PROFILE, 0, record=profile)

    def _do_delete(self) -> None:
        place = self._any_post()
        if place is None or self._is_planned(place):
            return self._do_like()
        post = self.posts[place]
        post.is_deleted = True
        self._commit(post.account)
        self.columns.add_op("delete", POST, self._number(post), place)
        return None

    def _is_planned(self, place: int) -> bool:
        return self.directory.drafts[self.posts[place].account].role == "bot"

    def _number(self, post: PostDraft) -> int:
        return post.created_at << 10 | post.account & 1023

    def _do_update(self) -> None:
        place = self._any_post()
        if place is None or self.posts[place].op < 0 or self._is_planned(place):
            return self._do_like()
        post = self.posts[place]
        if not post.was_updated:
            self.columns.records[post.op] = post.record
        post.record = updated(self.rng, post.record)
        post.cid, post.was_updated = cid_of(post.record), True
        self._commit(post.account)
        self.columns.add_op("update", POST, self._number(post), place, post.record)
        return None

    def _do_other(self) -> None:
        """Something that is not Bluesky's."""
        account = self.directory.pick_any()
        self._commit(account)
        place = self._any_post()
        if place is not None and self.rng.random() < 0.5:
            self.columns.add_op("create", BOOKMARK, self._rkey(account), place)
            return
        entry = {
            "$type": BLOG,
            "title": "Notes",
            "content": "# Notes\n\nMore soon.",
            "visibility": "public",
        }
        self.columns.add_op("create", BLOG, self._rkey(account), record=entry)

    def _do_identity(self) -> None:
        account = self.directory.pick_any()
        draft = self.directory.drafts[account]
        handle = draft.handle
        if self.rng.random() < 0.3 and draft.did.startswith("did:plc:"):
            handle = self.directory.rename(account)
        event = self.columns.add_event(self._now, "identity", account, 0, 0)
        self.columns.handles[event] = handle

    def _do_account(self) -> None:
        """An account goes, or comes back. Programs stay."""
        rng = self.rng
        if self._gone and rng.random() < 0.2:
            account = self._gone.pop(rng.randrange(len(self._gone)))
            status: AccountStatus = "active"
        else:
            spam = rng.random() < 0.3
            account = self.directory.pick("en", "spammer") if spam else self.directory.pick_any()
            if not self.directory.can_spare(account):
                return self._do_sync()
            status = "takendown" if spam else rng.choice(_STATUSES)
            if status != "deleted":
                self._gone.append(account)
        self.directory.set_status(account, status)
        event = self.columns.add_event(self._now, "account", account, 0, 0)
        self.columns.statuses[event] = status
        return None

    def _do_sync(self) -> None:
        self._revise(self.directory.pick_any(), "sync")
