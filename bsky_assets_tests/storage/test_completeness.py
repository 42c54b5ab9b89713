"""What a day makes of its segments' footers, and how it says what it lacks."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bsky_assets.storage.completeness import MOST_LISTED, Completeness, StreamDetails
from bsky_assets.storage.coverage import LISTED, covered, duration, gaps, jumps, missing
from bsky_assets.storage.segments import Footer
from bsky_assets.storage.stretches import Gap, Jump, Reconnect, Stretch
from testbed.rows import NOON

HOST = "relay.test"


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def stretch(first: int, last: int) -> Stretch:
    """Events a minute apart."""
    return Stretch(first, last, at(first), at(last))


def gap(after: int, before: int, **fields: Any) -> Gap:
    return Gap(HOST, after, before, "reconnect", at(before), at(after), at(before), **fields)


def footer(first: int, last: int, follows: int | None = None, **fields: Any) -> Footer:
    given = {"host": HOST, "stretches": [stretch(first, last)], **fields}
    return Footer(
        "firehose", follows=follows, cursor=last, cursor_time=at(last), received_from=at(first),
        received_to=at(last), cursors={given["host"]: last}, **given,
    )  # fmt: skip


def of(*footers: Footer) -> Completeness:
    completeness = Completeness()
    for footer in footers:
        completeness.add(footer)
    told = StreamDetails(completeness=completeness).stored()
    assert StreamDetails.model_validate(told).completeness == completeness
    return completeness


def spans(completeness: Completeness) -> list[tuple[str, int, int]]:
    return [(one.host, one.first, one.last) for one in completeness.stretches]


def test_segments_that_go_on_from_each_other_are_one_stretch() -> None:
    day = of(footer(1, 9), footer(10, 19, follows=9), footer(20, 30, follows=19))
    assert spans(day) == [(HOST, 1, 30)]
    assert covered(day, NOON.date(), ZoneInfo("UTC")) == timedelta(minutes=29)
    assert (day.received_from, day.received_to, day.segments) == (at(1), at(30), 3)
    assert list(gaps(day)) == []
    assert missing(day) == "0 gaps (0 events missing)"


def test_a_segment_goes_on_from_the_last_of_its_own_host() -> None:
    day = of(
        footer(1, 9), footer(5, 6, host="other.test"), footer(10, 19, follows=9),
    )  # fmt: skip
    assert spans(day) == [(HOST, 1, 19), ("other.test", 5, 6)]
    assert day.gap_count == 0


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_segment_that_is_not_there_any_more_is_a_gap(is_counted: bool) -> None:
    day = of(footer(1, 9), footer(15, 19, follows=14, is_counted=is_counted))
    assert spans(day) == [(HOST, 1, 9), (HOST, 15, 19)]
    assert (day.gap_count, day.missing_events) == (1, 5 if is_counted else 0)
    assert day.gaps[0].reason == "a segment is not there any more"


def test_a_gap_that_a_segment_tells_of_is_told_once() -> None:
    day = of(footer(1, 9), footer(15, 19, follows=9, gaps=[gap(9, 15)]))
    assert spans(day) == [(HOST, 1, 9), (HOST, 15, 19)]
    assert list(gaps(day)) == [f"5 events missing after 9 of {HOST} (reconnect)"]
    assert missing(day) == "1 gaps (5 events missing)"


def test_gaps_of_hosts_that_count_no_events_are_told_as_time() -> None:
    uncounted = [gap(9, 15, is_counted=False), gap(20, 29, is_counted=False)]
    day = of(footer(30, 39, gaps=[*uncounted, gap(40, 43)]))
    assert (day.gap_count, day.uncounted_gaps, day.missing_events) == (3, 2, 2)
    assert day.uncounted_seconds == 15 * 60
    assert missing(day) == (
        "3 gaps (2 events missing; in 2 of them (0 h 15 min) nobody counts events)"
    )
    assert next(iter(gaps(day))).startswith("what came in 0 h 6 min is missing after 9")
    only = of(footer(30, 39, gaps=uncounted[:1]))
    assert missing(only) == "1 gaps (in 1 of them (0 h 6 min) nobody counts events)"


def test_a_gap_of_which_not_even_the_time_is_known_says_so() -> None:
    unknown = Gap(HOST, None, 15, "another source", at(15))
    day = of(footer(15, 19, gaps=[unknown]))
    assert day.uncounted_seconds == 0
    assert list(gaps(day)) == [f"what came then is missing after None of {HOST} (another source)"]


@pytest.mark.parametrize(
    ("late", "left"),
    [
        ([10], [(10, 13)]),
        ([11], [(9, 11), (11, 13)]),
        ([12], [(9, 12)]),
        ([10, 12, 11], []),
        ([9], [(9, 13)]),
        ([13], [(9, 13)]),
    ],
)
def test_an_event_that_comes_late_closes_its_part_of_the_gap(
    late: list[int], left: list[tuple[int, int]]
) -> None:
    first = footer(1, 19, gaps=[gap(9, 13)])
    first.stretches[:] = [stretch(1, 9), stretch(13, 19)]
    day = of(first, footer(20, 29, follows=19, late=late))
    assert [(one.after, one.before) for one in day.gaps] == left
    assert day.gap_count == len(left)
    assert day.missing_events == sum(before - after - 1 for after, before in left)


def test_a_late_event_of_another_host_closes_no_gap() -> None:
    other = footer(5, 6, host="other.test", late=[10])
    day = of(footer(13, 19, gaps=[gap(9, 13)]), other)
    assert (day.gap_count, day.missing_events) == (1, 3)


def test_what_footers_count_adds_up() -> None:
    counts = {"events": {"commit": 2}, "quarantined": {"cbor": 1}, "events_per_minute": {"m": 3}}
    one = footer(1, 9, repeated=2, commits_followed=4, largest_lag_seconds=5.0, **counts)
    two = footer(
        10, 19, follows=9, repeated=1, commits_followed=1, largest_lag_seconds=3.0,
        events={"commit": 1, "identity": 1},
    )  # fmt: skip
    day = of(one, two, footer(20, 21, follows=19))
    assert day.events == {"commit": 3, "identity": 1}
    assert (day.quarantined, day.events_per_minute) == ({"cbor": 1}, {"m": 3})
    assert (day.repeated, day.commits_followed) == (3, 5)
    assert day.largest_lag_seconds == 5.0
    assert of(footer(1, 9)).largest_lag_seconds is None


def test_all_are_counted_and_the_first_are_listed() -> None:
    many = MOST_LISTED + 1
    given = footer(
        1, 9,
        gaps=[gap(2 * number, 2 * number + 2) for number in range(many)],
        jumps=[Jump("did:plc:a", None, None, "3k", "sync")] * many, jump_count=many,
        reconnects=[Reconnect(at(1), "closed")] * many,
    )  # fmt: skip
    day = of(given)
    assert day.gap_count == day.jump_count == day.reconnect_count == many
    assert len(day.gaps) == len(day.jumps) == len(day.reconnects) == MOST_LISTED
    assert list(gaps(day))[LISTED:] == [f"{many:,} gaps in all"]
    assert list(jumps(day))[LISTED:] == [f"{many:,} such jumps in all"]


def test_as_many_as_are_listed_need_no_total() -> None:
    jump = Jump("did:plc:a", at(1), "3k1", "3k2", "commit")
    few = [gap(2 * number, 2 * number + 2) for number in range(LISTED)]
    day = of(footer(1, 9, gaps=few, jumps=[jump] * LISTED, jump_count=LISTED))
    assert len(list(gaps(day))) == len(list(jumps(day))) == LISTED
    for number in range(LISTED + 1):
        day.lose(f"{number}.parquet", "cut off", None)
    assert f"{LISTED + 1} damaged segments in all" in list(gaps(day))
    assert "went from 3k1 to 3k2" in next(iter(jumps(day)))
    jumped = Jump("did:plc:a", at(1), None, "3k2", "sync")
    unknown = next(iter(jumps(of(footer(1, 9, jumps=[jumped], jump_count=1)))))
    assert "from a revision that we do not know to 3k2" in unknown


def test_a_segment_that_is_lost_is_told_once_with_what_is_known_of_it() -> None:
    day = of(footer(1, 9))
    for _ in range(2):
        day.lose("2.parquet", "cut off", None)
    day.lose("3.parquet", "no rows", footer(12, 15, follows=11))
    assert list(gaps(day)) == [
        "lost: the events after 9 in 2.parquet, which is damaged (cut off)",
        "lost: the events after 11 to 15 in 3.parquet, which is damaged (no rows)",
    ]
    nothing = Completeness()
    nothing.lose("1.parquet", "cut off", None)
    assert nothing.lost[0].after is None


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0206, "0.021 s"), (9.9994, "9.999 s"), (10, "10 s"), (59.4, "59 s"), (60, "0 h 1 min"),
        (3600, "1 h 0 min"), (3659, "1 h 1 min"), (90 * 60, "1 h 30 min"),
    ],
)  # fmt: skip
def test_a_time_is_as_exact_as_it_is_short(seconds: float, told: str) -> None:
    assert duration(seconds) == told
