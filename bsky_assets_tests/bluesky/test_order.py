"""In whatever order events arrive: what came is there once, what did not is missing, exactly."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.bluesky.accounting import REMEMBERED_CHUNKS, Account, Events
from bsky_assets.bluesky.lateness import WINDOW
from bsky_assets.contracts.arrival import FIREHOSE
from bsky_assets.storage.completeness import Completeness
from testbed.rows import NOON

HOST = "relay.test"
BATCHES = st.lists(st.integers(1, 9), min_size=1, max_size=30)


def events(numbers: Sequence[int], *, timed: bool = True) -> Events:
    """Events that were made one after the other, in the order of their numbers."""
    times = [
        (NOON + timedelta(milliseconds=number)).isoformat() if timed else None for number in numbers
    ]
    return Events(list(numbers), times, Counter(commit=len(numbers)))


def told(
    numbers: Sequence[int], batches: Iterable[int] = (), *, timed: bool = True, relay: bool = True
) -> Completeness:
    """What is told of events that arrive in batches, each of which ends a segment if it is odd."""
    account = Account(FIREHOSE, HOST, None, without_holes=relay)
    completeness, rest = Completeness(), list(numbers)
    for size in [*batches, len(rest)]:
        part, rest = rest[:size], rest[size:]
        account.add(events(part, timed=timed), NOON)
        if size % 2:
            completeness.add(account.close((NOON, NOON)))
    completeness.add(account.close((NOON, NOON)))
    return completeness


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of numbers that follow each other."""
    for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0]):
        found = [number for _, number in run]
        yield found[0], found[-1]


@settings(max_examples=100, deadline=None)
@given(
    numbers=st.integers(1, 60).flatmap(lambda count: st.permutations(range(500, 500 + count))),
    batches=BATCHES,
    timed=st.booleans(),
    relay=st.booleans(),
)
def test_no_order_of_arrival_is_a_gap_or_a_repeat(
    numbers: list[int], batches: list[int], timed: bool, relay: bool
) -> None:
    completeness = told(numbers, batches, timed=timed or not relay, relay=relay)
    assert (completeness.gap_count, completeness.missing_events) == (0, 0)
    assert completeness.gaps == []
    assert completeness.repeated == 0
    assert sum(completeness.events_per_minute.values()) == len(numbers)


@settings(max_examples=100, deadline=None)
@given(
    order=st.permutations(range(501, 540)),
    lost=st.sets(st.integers(501, 539)),
    batches=BATCHES,
    timed=st.booleans(),
)
def test_what_is_missing_is_what_did_not_come(
    order: list[int], lost: set[int], batches: list[int], timed: bool
) -> None:
    came = [500, *(number for number in order if number not in lost), 540]
    completeness = told(came, batches, timed=timed)
    gaps = sorted((gap.after + 1, gap.before - 1) for gap in completeness.gaps)
    assert gaps == list(runs(lost))
    assert completeness.missing_events == len(lost)
    assert completeness.gap_count == len(gaps)
    assert completeness.repeated == 0
    spans = sorted((stretch.first, stretch.last) for stretch in completeness.stretches)
    assert spans == list(runs(came))


@settings(max_examples=100, deadline=None)
@given(
    strays=st.lists(
        st.integers(1, 400) | st.integers(10**9, 10**9 + 400), min_size=1, max_size=3, unique=True
    ),
    place=st.integers(1, 38),
    batches=BATCHES.map(lambda sizes: [2 * size for size in sizes]),
)
def test_numbers_that_fit_nowhere_are_no_gap(
    strays: list[int], place: int, batches: list[int]
) -> None:
    own = list(range(100_500, 100_540))
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    late = [(NOON + timedelta(hours=1)).isoformat()] * len(strays)
    for numbers in (own[:place], None, own[place:]):
        given_events = events(numbers) if numbers else Events(strays, late, Counter())
        account.add(given_events, NOON)
    footer = account.close((NOON, NOON))
    if all(step != 1 for step in (b - a for a, b in pairwise(strays))):
        assert footer.gaps == []
        assert [(one.first, one.last) for one in footer.stretches] == [(own[0], own[-1])]
    assert footer.cursor == own[-1]


def test_what_comes_after_the_window_is_not_waited_for() -> None:
    far = [1, *range(3, WINDOW + 10)]
    assert told([*far, WINDOW + 10]).missing_events == 1
    assert told([*far, 2, WINDOW + 10]).missing_events == 1
    assert told([*far[: WINDOW // 2], 2, *far[WINDOW // 2 :]]).missing_events == 0


@pytest.mark.parametrize("relay", [True, False])
def test_two_frames_swapped_are_neither_missing_nor_repeated(relay: bool) -> None:
    completeness = told([1, 2, 4, 3, 5], relay=relay)
    assert (completeness.gap_count, completeness.repeated) == (0, 0)
    again = told([1, 2, 4, 3, 5, 3, 4, 6], relay=relay)
    assert (again.gap_count, again.repeated) == (0, 2)


def test_a_gap_of_a_host_that_counts_no_events_is_told_as_time() -> None:
    """Version 1 of Jetstream numbers events by the microsecond."""
    instant = int(NOON.timestamp() * 1e6)
    account = Account(FIREHOSE, "jetstream.test", None, without_holes=False)
    times = [(NOON + timedelta(microseconds=n)).isoformat() for n in (0, 21_000)]
    account.add(Events([instant], times[:1], Counter()), NOON)
    account.expect_again()
    account.add(Events([instant + 21_000], times[1:], Counter()), NOON)
    completeness = Completeness()
    completeness.add(account.close((NOON, NOON)))
    (gap,) = completeness.gaps
    assert (gap.missing, gap.seconds) == (None, 0.021)
    assert (completeness.missing_events, completeness.uncounted_gaps) == (0, 1)


def test_a_gap_of_an_earlier_segment_counts_no_more_when_all_of_it_has_come() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    account.add(events([1, 4]), NOON)
    assert account.gaps == 1
    account.close((NOON, NOON))
    open_gaps = []
    for late in (2, 3):
        account.add(events([late]), NOON)
        open_gaps.append(account.gaps)
    assert open_gaps == [0, -1]  # one less than when the segment ended


def test_late_is_what_is_within_memory_and_from_before_is_what_is_not() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=False)
    for chunk in range(REMEMBERED_CHUNKS + 1):
        account.add(events([10 * chunk + 10, 10 * chunk + 12]), NOON)
    account.add(events([31]), NOON)  # above the least of what is remembered then
    assert account.repeated == 0
    account.add(events([21]), NOON)  # below it
    assert account.repeated == 1


def test_a_gap_of_a_numbering_that_is_no_more_is_closed_by_none_of_the_next() -> None:
    account = Account(FIREHOSE, HOST, None, without_holes=True)
    times = [(NOON + timedelta(seconds=seconds)).isoformat() for seconds in (0, 10, 12)]
    account.add(Events([1000, 1005], times[:2], Counter()), NOON)
    anew = [*range(990, 1010), 1003]
    account.add(Events(anew, times[2:] * len(anew), Counter()), NOON)
    footer = account.close((NOON, NOON))
    assert [(gap.after, gap.before) for gap in footer.gaps] == [(1000, 1005), (1005, 990)]
    assert footer.repeated == 1
