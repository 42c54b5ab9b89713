"""Every consolidated post has a verdict, and filters stop about as much as on other days."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from dagster import AssetCheckResult, AssetCheckSpec

from bsky_assets.contracts import ConsolidatedPost, FilteredPost
from bsky_assets.contracts.details import FilterDetails
from bsky_assets.orchestration.materialisation import check
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

TRAILING_DAYS = 14
LEAST_DAYS = 3
"""With fewer earlier days there is nothing to compare with."""
LEAST_POSTS = 500
"""Rates over fewer posts say little."""
TOLERATED = 0.10
"""A stop rate may differ from the trailing mean by this much, or by half of that mean."""

VERDICTS = AssetCheckSpec(
    "every_post_has_a_verdict",
    asset=FilteredPost.asset,
    blocking=True,
    description="Every consolidated post is here, passed or with the filter that stopped it.",
)
_USUAL_RATES = AssetCheckSpec(
    "stop_rates_are_usual",
    asset=FilteredPost.asset,
    description="Each filter stops about the share of posts that it did on the days before.",
)
SPECS = [VERDICTS, _USUAL_RATES]


def evaluate(lake: Lake, partition: Partition) -> list[AssetCheckResult]:
    """The outcomes for one partition. Canaries ran before: one that flips stops the day."""
    usual = usual_rates(lake, partition)
    return [
        check(
            VERDICTS,
            _missing(lake, partition),
            checked=partition.rows,
            nothing="there are no posts",
        ),
        check(
            _USUAL_RATES,
            _unusual(partition, usual),
            checked=len(usual),
            nothing=f"no filter has {LEAST_DAYS} days before with {LEAST_POSTS} posts each",
        ),
    ]


def stop_rates(partition: Partition) -> dict[str, float]:
    """For each filter, the share of the posts that reached it which it stopped."""
    return {
        step.filter: step.stopped / step.reached
        for step in partition.told(FilterDetails).funnel
        if step.reached >= LEAST_POSTS
    }


def _missing(lake: Lake, partition: Partition) -> Iterator[str]:
    consolidated = lake.current(ConsolidatedPost, partition.day)
    expected = consolidated.rows if consolidated else 0
    if partition.rows != expected:
        yield f"{expected:,} posts were consolidated, {partition.rows:,} have a verdict"
    told = partition.told(FilterDetails)
    if sum(step.stopped for step in told.funnel) + told.passed != partition.rows:
        yield "posts passed and posts stopped do not add up"


def usual_rates(lake: Lake, partition: Partition) -> dict[str, list[float]]:
    """For each filter of the day, its rates on the days before, where there are enough of them."""
    earlier = [
        stop_rates(found)
        for back in range(1, TRAILING_DAYS + 1)
        if (found := lake.current(FilteredPost, partition.day - timedelta(days=back)))
    ]
    known = {name: [day[name] for day in earlier if name in day] for name in stop_rates(partition)}
    return {name: rates for name, rates in known.items() if len(rates) >= LEAST_DAYS}


def _unusual(partition: Partition, usual: Mapping[str, Sequence[float]]) -> Iterator[str]:
    today = stop_rates(partition)
    for name, rates in usual.items():
        mean, rate = sum(rates) / len(rates), today[name]
        if abs(rate - mean) > max(TOLERATED, mean / 2):
            yield f"{name} stopped {rate:.1%}, on the {len(rates)} days before {mean:.1%}"
