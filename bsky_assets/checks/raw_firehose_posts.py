"""Which part of the stream a day's posts come from, and what is missing."""

from dagster import AssetCheckResult, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.checks import new_fields
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.completeness import Completeness, StreamDetails
from bsky_assets.storage.coverage import covered, gaps, jumps, strays, uncovered
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

_UNKNOWN_EVENT = "unknown_event"
"""Why events of a kind that is not in the lexicon are quarantined."""

_NO_GAPS = AssetCheckSpec(
    "firehose_has_no_gaps",
    asset=RawFirehosePost.asset,
    description="No event is missing between the first and the last of the day.",
)
_COVERED = AssetCheckSpec(
    "firehose_covers_the_day",
    asset=RawFirehosePost.asset,
    description="The day is over, and the stream was read from its beginning to its end.",
)
WHOLE = AssetCheckSpec(
    "repositories_are_whole",
    asset=RawFirehosePost.asset,
    description="No repository jumped to a revision without what changed before it: by the host's "
    "word (#sync), or as a commit goes on from a revision that did not come. One that is healed is "
    "none.",
)
SPECS = [_NO_GAPS, _COVERED, WHOLE, new_fields.spec(RawFirehosePost)]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, partition: Partition, settings: Settings
) -> list[AssetCheckResult]:
    told = partition.told(StreamDetails)
    completeness, still = told.completeness or Completeness(), told.still
    return [
        check(
            _NO_GAPS,
            gaps(still),
            checked=sum(completeness.events.values()),
            nothing="no event was read",
            gaps=completeness.gap_count,
            healed_gaps=completeness.gap_count - still.gap_count,
            missing_events=completeness.missing_events,
            uncounted_gaps=completeness.uncounted_gaps,
            uncounted_seconds=completeness.uncounted_seconds,
            strays="; ".join(strays(completeness)) or "none",
        ),
        check(
            _COVERED,
            uncovered(completeness, partition, settings.timezone),
            checked=len(completeness.stretches) + (told.archive is not None),
            nothing="no stretch of the stream was read",
            covered_seconds=covered(completeness, partition.day, settings.timezone).total_seconds(),
        ),
        check(
            WHOLE,
            jumps(still),
            checked=completeness.commits_followed + completeness.jump_count,
            nothing="no commit could be compared with the one before it",
            jumps=completeness.jump_count,
            healed_jumps=completeness.jump_count - still.jump_count,
            commits_followed=completeness.commits_followed,
            commits=completeness.events.get("commit", 0),
        ),
        new_fields.evaluate(
            con,
            lake,
            RawFirehosePost,
            partition.day,
            completeness.quarantined.get(_UNKNOWN_EVENT, 0),
        ),
    ]
