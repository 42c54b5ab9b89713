"""What a day's coverage is said to lack, of a day that is over and of one that is not."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bsky_assets.checks import raw_firehose_posts
from bsky_assets.contracts import RawFirehosePost
from bsky_assets.settings import Settings
from bsky_assets.storage.completeness import Completeness, HostStretch, StreamDetails
from bsky_assets.storage.connection import connect
from bsky_assets.storage.coverage import uncovered
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import bounds
from testbed.rows import firehose_post, table

DAY, CHICAGO = date(2026, 3, 10), ZoneInfo("America/Chicago")
START, END = bounds(DAY, CHICAGO)


def spanning(first: datetime, last: datetime) -> Completeness:
    times = {"first_time": first.isoformat(), "last_time": last.isoformat()}
    return Completeness([HostStretch(host="relay.test", first=1, last=9, **times)])


def stored(folder: Path, completeness: Completeness) -> Partition:
    rows = table(RawFirehosePost, [firehose_post("did:plc:a", "3k1")])
    details = StreamDetails(completeness=completeness)
    return Lake(folder).write(RawFirehosePost, DAY, rows, details)


@pytest.mark.parametrize(
    ("at", "first", "last", "said"),
    [
        (END + timedelta(hours=1), START, END, []),
        (END + timedelta(hours=1), START, END - timedelta(minutes=9), ["0 h 9 min before the day"]),
        (END + timedelta(hours=1), START + timedelta(hours=2), END, ["begins 2 h 0 min after"]),
        (START + timedelta(hours=5), START, START + timedelta(hours=5),
         ["not over yet: 5 h 0 min of 5 h 0 min are covered so far"]),
        (START + timedelta(hours=5), START, START + timedelta(hours=4),
         ["4 h 0 min of 5 h 0 min", "ends 1 h 0 min before now"]),
        (START + timedelta(hours=5), START - timedelta(hours=9), START + timedelta(hours=5),
         ["not over yet: 5 h 0 min of 5 h 0 min are covered so far"]),
    ],
)  # fmt: skip
def test_a_day_is_covered_when_it_is_over_and_was_read_from_end_to_end(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: Settings,
    at: datetime,
    first: datetime,
    last: datetime,
    said: list[str],
) -> None:
    monkeypatch.setattr("bsky_assets.storage.coverage.now", lambda: at.astimezone(UTC))
    completeness = spanning(first, last)
    partition = stored(tmp_path, completeness)
    problems = list(uncovered(completeness, partition, CHICAGO))
    assert len(problems) == len(said)
    for problem, expected in zip(problems, said, strict=True):
        assert expected in problem
    with connect(settings) as con:
        checks = raw_firehose_posts.evaluate(con, Lake(tmp_path), partition, settings)
    (covers,) = [check for check in checks if check.check_name == "firehose_covers_the_day"]
    assert covers.passed is not bool(said)
