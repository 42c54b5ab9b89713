"""Whether all that landed for a day is in everything that was made of it."""

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec

from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.orchestration.following import DAY_IS_COMPLETE
from bsky_assets.orchestration.materialisation import check
from bsky_assets.orchestration.unfinished import DayState

SPECS = [
    AssetCheckSpec(
        DAY_IS_COMPLETE,
        asset=DAILY_REPORT,
        description="The day is over, and all that landed for it is in every asset of it.",
    ),
]


def evaluate(state: DayState) -> list[AssetCheckResult]:
    """The outcome for one day."""
    return [
        check(
            DAY_IS_COMPLETE,
            state.lines(),
            asset=DAILY_REPORT,
            severity=AssetCheckSeverity.WARN,
            checked=1,
            nothing="there is no day",
            behind=list(state.behind),
        )
    ]
