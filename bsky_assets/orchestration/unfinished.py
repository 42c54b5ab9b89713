"""What of a sync day is not yet in what is made from it, and why.

A day is behind where segments hold news that its raw partitions have not taken in, and where a
partition or the report was made from other versions than are there now, or is not there although
it could be made. All of it is read off what is stored: whatever was lost, killed or missed, the
next look finds it.
What does not belong here: making it, and when, which is decided in `following`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bsky_assets.bluesky.collected import all_segments
from bsky_assets.consolidation.consolidate import SOURCES, is_source
from bsky_assets.consolidation.returned import lacking, returned
from bsky_assets.contracts import ConsolidatedPost, RawFirehosePost, Row
from bsky_assets.contracts.codebooks import SUFFIX, CodebookLabel
from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.reporting.head import read_head, report_path
from bsky_assets.settings import Settings
from bsky_assets.storage.compaction import news
from bsky_assets.storage.damage import Damaged
from bsky_assets.storage.inputs import REPORT_INPUTS, Input, inputs_of, report_inputs
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition, Versions
from bsky_assets.sync_day import FIRST_DAY, LOOK_BACK_DAYS, bounds, look_back, sync_day_of

_RECENT_DAYS = 2 * LOOK_BACK_DAYS + 1
"""So far back a day may read, by way of a day that it reads, and so far news is looked for."""


@dataclass(frozen=True)
class Behind:
    """An asset that is to be made again, or for the first time."""

    why: str
    news: str = ""
    """Identifies what it does not have yet; empty where it follows another asset of the day."""


@dataclass(frozen=True)
class DayState:
    """How far what is made of a day has come."""

    day: date
    is_over: bool
    behind: Mapping[str, Behind]
    """By asset, in the order of the lineage."""
    left_out_for: tuple[date, ...]
    """Earlier days that have posts and are not consolidated: theirs count as taken up here."""
    followed_at: datetime | None
    """When its posts were consolidated last."""
    returned: int = 0
    """Posts that have come back to a day that is not made again by itself."""

    @property
    def news(self) -> str:
        """The same as long as nothing more has come, and nothing was made."""
        parts = [f"{asset} {found.news}" for asset, found in self.behind.items()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def lines(self) -> Iterator[str]:
        """For a person, what the day lacks; nothing if it is complete."""
        if not self.is_over:
            yield "the day is not over yet"
        for asset, found in self.behind.items():
            yield f"{asset}: {found.why}"
        for earlier in self.left_out_for:
            yield (
                f"posts that came up on {earlier}, too, are left out, and that day is not "
                "consolidated"
            )
        if self.returned:
            yield returned_line(self.day, self.returned)


def returned_line(day: date, posts: int) -> str:
    """What a person may do about posts that have come back to a day that is long over."""
    return (
        f"{posts:,} posts have come back with their accounts since: "
        f"`bsky-assets materialize --day {day}` takes them up"
    )


class Look:
    """One look at days; what it has read once it does not read again."""

    def __init__(self, settings: Settings, at: datetime) -> None:
        """Look at the data of `settings` as they are at the instant `at`."""
        self.settings, self.at = settings, at
        self._lake = Lake.of(settings)
        self._streams = tuple(stream.seen_once() for stream in all_segments(settings))
        self._order = (*(row.asset for row in self._lake.rows), DAILY_REPORT)
        self._known: dict[tuple[type[Row], date], Partition | None] = {}
        self._noted = returned(self._lake)
        present = sync_day_of(at, settings.timezone)
        self._recent = {present - timedelta(days=back) for back in range(_RECENT_DAYS)}

    def days(self, *, everywhere: bool) -> list[date]:
        """The days to look at: recent ones and those with segments, or all that are stored."""
        days = self._recent | {day for segments in self._streams for day in segments.days()}
        if everywhere:
            days |= {day for row in self._lake.rows for day in self._lake.days(row)}
        return sorted(day for day in days if FIRST_DAY <= day <= max(self._recent))

    def state(self, day: date) -> DayState:
        """How far `day` has come."""
        end = bounds(day, self.settings.timezone)[1]
        behind = {row.asset: found for row, found in self._raw(day).items()}
        for row in self._lake.rows:
            if not (inputs := inputs_of(row)):
                continue
            stored = self._stored(row, day)
            if stored is None and day < self._begins(row):
                continue
            made_from = stored.made_from if stored else None
            if self._can_be_made(row, inputs, day, behind) and (
                found := self._behind(inputs, day, behind, stored is not None, made_from)
                or self._returned(row, stored)
            ):
                behind[row.asset] = found
        if found := self._report(day, end, behind):
            behind[DAILY_REPORT] = found
            if found.news == "closed" and self._stored(RawFirehosePost, day):
                behind.setdefault(
                    RawFirehosePost.asset, Behind("was checked before the day was over", "closed")
                )
        consolidated = self._stored(ConsolidatedPost, day)
        return DayState(
            day,
            self.at >= end,
            {asset: behind[asset] for asset in self._order if asset in behind},
            tuple(self._left_out_for(day)) if consolidated else (),
            consolidated.written_at if consolidated else None,
            0 if day in self._recent else lacking(self._noted, consolidated),
        )

    def _begins(self, row: type[Row]) -> date:
        """The first day that is made without a person asking for it: of a codebook's labels the
        day on which its file was written."""
        if not issubclass(row, CodebookLabel):
            return FIRST_DAY
        path = self.settings.codebooks_dir / f"{row.codebook.name}{SUFFIX}"
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return sync_day_of(written, self.settings.timezone)

    def _raw(self, day: date) -> dict[type[Row], Behind]:
        found: dict[type[Row], Behind] = {}
        for segments in self._streams:
            for row, late in news(self._lake, segments, day).items():
                before = found.get(row, Behind("", ""))
                what = f"{len(late):,} segments of {segments.stream}"
                found[row] = Behind(
                    f"{before.why} and {what}" if before.why else f"has not taken in {what}",
                    f"{before.news} {late[-1].path.name} of {segments.stream}",
                )
        return found

    def _can_be_made(
        self, row: type[Row], inputs: Sequence[Input], day: date, behind: Mapping[str, Behind]
    ) -> bool:
        """Whether what it cannot do without is there, or is going to be."""
        first = inputs[0].row
        if first.asset in behind:
            return True
        if row is ConsolidatedPost:
            return self._has_source(day)
        return self._stored(first, day) is not None

    def _returned(self, row: type[Row], stored: Partition | None) -> Behind | None:
        """Of a recent day; older ones are told of, and made again when somebody asks for it.

        Some account comes back every day, and of all days that there ever were some have its posts.
        """
        posts = lacking(self._noted, stored) if row is ConsolidatedPost else 0
        if not posts or not stored or stored.day not in self._recent:
            return None
        return Behind(f"lacks {posts:,} posts that have come back", f"{stored.version} {posts}")

    def returned(self) -> Iterator[tuple[date, int]]:
        """Days that are not made again by themselves, and how many posts have come back to each."""
        for day in sorted(self._noted.keys() - self._recent):
            if posts := lacking(self._noted, self._stored(ConsolidatedPost, day)):
                yield day, posts

    def _behind(
        self,
        inputs: Sequence[Input],
        day: date,
        behind: Mapping[str, Behind],
        is_stored: bool,
        made_from: Versions | None,
    ) -> Behind | None:
        if follows := [one.row.asset for one in inputs if one.row.asset in behind]:
            return Behind(f"follows {', '.join(follows)}")
        if not is_stored:
            return Behind("is not made yet", "new")
        if made_from is None:
            return None
        if changed := sorted(self._changed(inputs, day, made_from)):
            names = ", ".join(f"{asset} of {read}" for asset, read, _ in changed)
            return Behind(f"was made from what is there no longer: {names}", str(changed))
        return None

    def _changed(
        self, inputs: Sequence[Input], day: date, made_from: Versions
    ) -> Iterator[tuple[str, str, str]]:
        """Asset, day and version of what is there now and was not made from."""
        for one in inputs:
            recorded = made_from.get(one.row.asset, {})
            for read in one.days(day):
                found = self._stored(one.row, read)
                version = found.version if found else None
                if recorded.get(read.isoformat()) != version:
                    yield one.row.asset, read.isoformat(), str(version)

    def _report(self, day: date, end: datetime, behind: Mapping[str, Behind]) -> Behind | None:
        if any(
            one.row.asset not in behind and not self._stored(one.row, day) for one in REPORT_INPUTS
        ):
            return None
        head = read_head(report_path(self.settings.reports_dir, day))
        made_from = head.made_from if head else None
        inputs = report_inputs(self._lake)
        found = self._behind(inputs, day, behind, head is not None, made_from)
        if found is None and head and head.written_at < end <= self.at:
            return Behind("was written before the day was over", "closed")
        return found

    def _left_out_for(self, day: date) -> Iterator[date]:
        for earlier in look_back(day):
            if self._stored(ConsolidatedPost, earlier) is None and self._has_source(earlier):
                yield earlier

    def _has_source(self, day: date) -> bool:
        return any(is_source(self._stored(row, day)) for row in SOURCES)

    def _stored(self, row: type[Row], day: date) -> Partition | None:
        if (row, day) not in self._known:
            try:
                self._known[row, day] = self._lake.current(row, day)
            except Damaged:
                self._known[row, day] = None  # which status, doctor and its own run tell
        return self._known[row, day]
