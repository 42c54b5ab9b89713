"""The accounts of the sandbox: who they are, before the stream of the day begins."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from bsky_sandbox.grammar import Grammar, texts
from bsky_sandbox.posts import AccountStatus, Json, blob

Role = Literal["person", "bot", "spammer", "nsfw"]

PROFILE = "app.bsky.actor.profile"
BOT = "bot"
LANGUAGES = {
    "en": 0.20, "ja": 0.185, "pt": 0.115, "de": 0.07, "es": 0.07, "fr": 0.045, "ko": 0.035,
    "zh": 0.03, "ru": 0.03, "it": 0.03, "nl": 0.025, "pl": 0.025, "tr": 0.025, "id": 0.025,
    "th": 0.025, "uk": 0.02, "ar": 0.02, "fa": 0.01, "sv": 0.01, "he": 0.005, "hi": 0.005,
    "el": 0.005,
}  # fmt: skip
"""The share of each language among the posts that have words."""

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PLC_LENGTH = 24
_WEB_ONE_IN = 150
_LEAST = 8
_TRIES = 20
_EMOJI = ("🌸", "🐈", "🦋", "🏳️‍🌈", "☕", "📚", "🎨", "🌊", "🌙", "🇺🇸", "💙", "⚾")
_EVENTS_AN_ACCOUNT = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxAccount:
    """An account at the end of the stream."""

    did: str
    handle: str
    display_name: str | None
    avatar: str | None
    """CID of the picture."""
    status: AccountStatus
    self_labels: tuple[str, ...]
    """Labels that the account put on its own profile, after any update."""
    profile: Json
    """The app.bsky.actor.profile record as JSON, after any update."""
    is_bot: bool
    """Whether a program runs it."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """An account while its day is being made up."""

    did: str
    handle: str
    language: str
    role: Role
    profile: Json
    status: AccountStatus = "active"
    has_profile: bool = True
    """Whether its repository has the profile, or is still to get it."""
    rev: int = 0
    """The number of its last revision's TID; 0 before its first."""

    @property
    def self_labels(self) -> tuple[str, ...]:
        """The values of the profile's labels."""
        values = self.profile.get("labels", {}).get("values", ())
        return tuple(str(part["val"]) for part in values)

    def finished(self) -> SandboxAccount:
        """The account as it is now."""
        picture = self.profile.get("avatar")
        return SandboxAccount(
            did=self.did,
            handle=self.handle,
            display_name=self.profile.get("displayName"),
            avatar=picture["ref"]["$link"] if picture else None,
            status=self.status,
            self_labels=self.self_labels,
            profile=self.profile,
            is_bot=self.role == "bot",
        )


class Directory:
    """All accounts, and choices among them. A few post much, as people do."""

    def __init__(self, rng: Random, events: int, bots: int, day: str) -> None:
        """Make up the accounts for a day of `events` events, `bots` of them English bots."""
        self._rng = rng
        self._day = day
        self.drafts: list[Draft] = []
        self._places: dict[tuple[str, Role], list[int]] = {}
        self._away: Counter[tuple[str, Role]] = Counter()
        self.by_handle: dict[str, str] = {}
        self._words = texts("people")
        self._grammar = Grammar(self._words["slots"])
        people = max(60, events // _EVENTS_AN_ACCOUNT)
        for language, share in LANGUAGES.items():
            self._add(language, "person", max(_LEAST, round(share * people)))
            self._add(language, "nsfw", max(1, round(share * people * 0.02)))
        self._add("en", "spammer", max(_LEAST, round(people * 0.02)))
        self._add("en", "nsfw", max(_LEAST, round(people * 0.012)))
        self._add("en", "bot", bots)
        for language in ("ja", "pt", "de", "es", "fr"):
            self._add(language, "bot", bots // 4)

    def of(self, language: str, role: Role) -> Sequence[int]:
        """The places of the accounts that write `language` in that role."""
        return self._places.get((language, role), ())

    def pick(self, language: str, role: Role = "person") -> int:
        """The place of one of them that is active, the first ones more often."""
        places = self._places[language, role]
        for _ in range(_TRIES):
            place = places[int(len(places) * self._rng.random() ** 2)]
            if self.drafts[place].status == "active":
                return place
        return next(place for place in places if self.drafts[place].status == "active")

    def pick_any(self) -> int:
        """The place of any active account."""
        while True:
            place = int(len(self.drafts) * self._rng.random())
            if self.drafts[place].status == "active":
                return place

    def can_spare(self, place: int) -> bool:
        """Whether an account can go: not a program, and half of its kind stay."""
        draft = self.drafts[place]
        kind = (draft.language, draft.role)
        return draft.role != "bot" and 2 * (self._away[kind] + 1) <= len(self._places[kind])

    def set_status(self, place: int, status: AccountStatus) -> None:
        """Let an account go, or come back."""
        draft = self.drafts[place]
        kind = (draft.language, draft.role)
        self._away[kind] += (status != "active") - (draft.status != "active")
        draft.status = status

    def rename(self, place: int) -> str:
        """Give an account another handle; the new one."""
        draft = self.drafts[place]
        stem = draft.handle.split(".")[0].rstrip("0123456789-")
        draft.handle = self._free(stem, "example.test")
        self.by_handle[draft.handle] = draft.did
        return draft.handle

    def _add(self, language: str, role: Role, count: int) -> None:
        places = self._places.setdefault((language, role), [])
        for _ in range(count):
            places.append(len(self.drafts))
            self.drafts.append(self._draft(language, role))

    def _draft(self, language: str, role: Role) -> Draft:
        rng = self._rng
        words, grammar = self._words, self._grammar
        stem = grammar.fill(rng, rng.choice(words["handles"][role]))
        handle = self._free(stem, "sandbox.test")
        profile: Json = {"$type": PROFILE, "createdAt": f"{self._day}T00:00:00.000Z"}
        if role == "bot":
            profile["displayName"] = grammar.fill(rng, rng.choice(words["bots"]))
        elif rng.random() < 0.9:
            profile["displayName"] = self._name(language, grammar, words["names"])
        if rng.random() < 0.6:
            profile["description"] = grammar.fill(rng, rng.choice(words["descriptions"][role]))
        if rng.random() < 0.75:
            profile["avatar"] = blob(
                rng.getrandbits(64), "image/jpeg", rng.randrange(9_000, 90_000)
            )
        if labels := self._self_labels(role):
            profile["labels"] = self_labels(labels)
        did = self._did(handle)
        self.by_handle[handle] = did
        return Draft(
            did=did,
            handle=handle,
            language=language,
            role=role,
            profile=profile,
            has_profile=rng.random() < 0.85,
        )

    def _name(self, language: str, grammar: Grammar, english: Sequence[str]) -> str:
        names = english if language == "en" else texts(language)["names"]
        name = grammar.fill(self._rng, self._rng.choice(names))
        if self._rng.random() < 0.2:
            name += " " + self._rng.choice(_EMOJI)
        return name

    def _self_labels(self, role: Role) -> list[str]:
        chance = self._rng.random()
        if role == "bot" and chance < 0.7:
            return [BOT]
        if role == "nsfw" and chance < 0.5:
            return [self._rng.choice(("porn", "sexual", "nudity"))]
        return ["!no-unauthenticated"] if chance < 0.04 else []

    def _free(self, stem: str, domain: str) -> str:
        """A handle that nobody has."""
        handle = f"{stem}.{domain}"
        while handle in self.by_handle:
            handle = f"{stem}{self._rng.randrange(1, 1_000_000)}.{domain}"
        return handle

    def _did(self, handle: str) -> str:
        rng = self._rng
        if rng.random() < 1 / _WEB_ONE_IN:
            return f"did:web:{handle}"
        return "did:plc:" + "".join(rng.choices(_BASE32, k=_PLC_LENGTH))


def self_labels(values: Sequence[str]) -> Json:
    """The labels that an author puts on a record."""
    return {
        "$type": "com.atproto.label.defs#selfLabels",
        "values": [{"val": value} for value in values],
    }
