"""What a day's partition can say of how complete it is, put together from segments' footers.

What does not belong here: judging it, which checks do.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from bsky_assets.contracts.details import Details
from bsky_assets.storage.archived import Archived
from bsky_assets.storage.healing import AccountHealing, Healing, account_lines, lines
from bsky_assets.storage.segments import Footer, Mark
from bsky_assets.storage.stretches import Gap, Jump, Reconnect, Strays, Stretch, with_event

MOST_LISTED = 1000
"""Gaps, strays, jumps and reconnects that are listed one by one; all of them are counted."""


@dataclass(frozen=True, kw_only=True)
class HostStretch(Stretch):
    """Events of one host without a gap between them; times are the host's, ISO 8601 in UTC."""

    host: str


@dataclass(frozen=True, kw_only=True)
class ListedGap:
    """A `Gap`, with how many events are missing where numbers tell, or else how long it is."""

    host: str
    after: int | None = None
    before: int | None = None
    reason: str
    noticed_at: str | None = None
    after_time: str | None = None
    before_time: str | None = None
    is_counted: bool = True
    missing: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, gap: Gap) -> "ListedGap":
        return cls(**asdict(gap), missing=gap.missing, seconds=gap.seconds)

    @property
    def gap(self) -> Gap:
        told = {name: part for name, part in asdict(self).items() if name in Gap.__match_args__}
        return Gap(**told)


@dataclass(frozen=True)
class LostSegment:
    """A segment that could not be read, and the events that it held, as far as that is known."""

    segment: str
    reason: str
    after: int | None
    """The last event before it."""
    through: int | None
    """Its own last event."""


@dataclass
class Completeness:
    """Which part of the streams a day's segments cover, and what came with it."""

    stretches: list[HostStretch] = field(default_factory=list)
    """In the order of arrival."""
    gaps: list[ListedGap] = field(default_factory=list)
    gap_count: int = 0
    missing_events: int = 0
    """In the gaps that numbers tell the events of."""
    uncounted_gaps: int = 0
    """The others."""
    uncounted_seconds: float = 0.0
    """How long those are by the host's clock, as far as it is known."""
    strays: list[Strays] = field(default_factory=list)
    stray_count: int = 0
    jumps: list[Jump] = field(default_factory=list)
    jump_count: int = 0
    commits_followed: int = 0
    """Commits that could be compared with the last revision that had come of their repository."""
    reconnects: list[Reconnect] = field(default_factory=list)
    reconnect_count: int = 0
    events: dict[str, int] = field(default_factory=dict)
    """By kind."""
    repeated: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    """By reason."""
    events_per_minute: dict[str, int] = field(default_factory=dict)
    """By minute of the host's clock, as YYYY-MM-DDTHH:MMZ."""
    largest_lag_seconds: float | None = None
    received_from: str | None = None
    received_to: str | None = None
    segments: int = 0
    lost: list[LostSegment] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    """Last event by host, to tell whether the next segment goes on from it."""

    def lose(self, segment: str, reason: str, footer: Footer | None) -> None:
        """Note that the rows of `segment` are lost; the next one brings the gap that is left."""
        if any(known.segment == segment for known in self.lost):
            return
        after = footer.follows if footer else next(reversed(self.cursors.values()), None)
        through = footer.cursor if footer else None
        self.lost.append(LostSegment(segment, reason, after, through))

    def add(self, footer: Footer) -> None:
        """Take the footer of a further segment, in the order of their numbers."""
        for number in footer.late:
            self._add_late(footer.host, number)
        for gap in footer.gaps:
            self._add_gap(gap)
        for stretch in footer.stretches:
            self._add_stretch(footer, stretch)
        self.reconnect_count += len(footer.reconnects)
        self.reconnects = (self.reconnects + footer.reconnects)[:MOST_LISTED]
        self.stray_count += len(footer.strays)
        self.strays = (self.strays + footer.strays)[:MOST_LISTED]
        self.jump_count += footer.jump_count
        self.jumps = (self.jumps + footer.jumps)[:MOST_LISTED]
        self.commits_followed += footer.commits_followed
        self.events = _sum(self.events, footer.events)
        self.quarantined = _sum(self.quarantined, footer.quarantined)
        self.events_per_minute = _sum(self.events_per_minute, footer.events_per_minute)
        self.repeated += footer.repeated
        if footer.largest_lag_seconds is not None:
            self.largest_lag_seconds = max(
                self.largest_lag_seconds or 0.0, footer.largest_lag_seconds
            )
        self.received_from = self.received_from or footer.received_from
        self.received_to = footer.received_to
        self.segments += 1
        self.cursors |= footer.cursors

    def _add_stretch(self, footer: Footer, stretch: Stretch) -> None:
        is_after_gap = any(gap.before == stretch.first for gap in footer.gaps)
        before = self.cursors.get(footer.host)
        is_first = stretch is footer.stretches[0]
        if is_first and not is_after_gap and before is not None:
            if before == footer.follows:
                self._extend(footer.host, stretch)
                return
            reason = "a segment is not there any more"
            self._add_gap(
                Gap(
                    footer.host,
                    before,
                    stretch.first,
                    reason,
                    footer.received_from,
                    is_counted=footer.is_counted,
                )
            )
        self.stretches.append(HostStretch(host=footer.host, **asdict(stretch)))

    def _extend(self, host: str, stretch: Stretch) -> None:
        for at, known in reversed([*enumerate(self.stretches)]):
            if known.host == host:
                last_time = stretch.last_time or known.last_time
                self.stretches[at] = replace(known, last=stretch.last, last_time=last_time)
                return

    def _add_gap(self, gap: Gap) -> None:
        self._count(gap, 1)
        if len(self.gaps) < MOST_LISTED:
            self.gaps.append(ListedGap.of(gap))

    def _count(self, gap: Gap, times: int) -> None:
        self.gap_count += times
        if gap.missing is None:
            self.uncounted_gaps += times
            self.uncounted_seconds += times * (gap.seconds or 0.0)
        else:
            self.missing_events += times * gap.missing

    def _add_late(self, host: str, number: int) -> None:
        """Close a gap, or a part of one, with an event that came after all."""
        for at, listed in reversed([*enumerate(self.gaps)]):
            gap = listed.gap
            if gap.host == host and gap.missing and (gap.after or 0) < number < (gap.before or 0):
                rest = gap.without(number)
                self._count(gap, -1)
                for part in rest:
                    self._count(part, 1)
                self.gaps[at : at + 1] = map(ListedGap.of, rest)
                self.stretches = with_event(
                    self.stretches, number, lambda stretch: stretch.host == host
                )
                return


class StreamDetails(Details):
    """What a partition says of the streams whose segments it was made from."""

    merged_through: dict[str, Mark | int] | None = None
    """Up to which segment each stream was taken in: a number, before series had an identity. None
    where rows were loaded from elsewhere."""
    completeness: Completeness | None = None
    """Of the first of its streams."""
    archive: Archived | None = None
    """Where it is from, if it was made from an archive."""
    kept_to: int | None = None
    """To a list of how many accounts the stream was kept, for all of the day or a part of it."""
    healing: tuple[Healing, ...] = ()
    """What came of its gaps, of which an archive was asked."""
    account_healing: tuple[AccountHealing, ...] = ()
    """What came of the jumps of accounts in it."""

    @property
    def still(self) -> Completeness:
        """The completeness without the gaps and jumps that are healed."""
        whole = self.completeness or Completeness()
        healed = {one.key for one in self.healing if one.is_healed}
        gaps = [gap for gap in whole.gaps if (gap.host, gap.after, gap.before) not in healed]
        whole_again = {one.key for one in self.account_healing if one.is_healed}
        jumps = [one for one in whole.jumps if (one.did, one.had, one.rev) not in whole_again]
        return replace(
            whole,
            gaps=gaps,
            gap_count=whole.gap_count - (len(whole.gaps) - len(gaps)),
            jumps=jumps,
            jump_count=whole.jump_count - (len(whole.jumps) - len(jumps)),
        )

    def source_lines(self) -> list[str]:
        """What came later than by the stream, if anything did, a sentence each."""
        archived = self.archive.lines() if self.archive else ()
        only = []
        if self.kept_to is not None:
            only.append(
                f"the stream was kept to a list of {self.kept_to:,} accounts, for all of the day "
                "or a part of it: what others wrote then is not in it"
            )
        return [*archived, *only, *lines(self.healing), *account_lines(self.account_healing)]

    def mark(self, stream: str) -> Mark | None:
        """Up to which segment of `stream` it was merged."""
        found = (self.merged_through or {}).get(stream)
        return Mark(found) if isinstance(found, int) else found


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(one) + Counter(other)).items()))
