"""Whether all that landed for a day is in everything that was made of it."""

from dagster import AssetCheckResult, AssetCheckSpec

from bsky_assets.contracts.lineage import DAILY_REPORT
from bsky_assets.orchestration.following import DAY_IS_COMPLETE
from bsky_assets.orchestration.materialisation import check
from bsky_assets.orchestration.unfinished import DayState

COMPLETE = AssetCheckSpec(
    DAY_IS_COMPLETE,
    asset=DAILY_REPORT,
    description="The day is over, and all that landed for it is in every asset of it.",
)
SPECS = [COMPLETE]


def evaluate(state: DayState) -> list[AssetCheckResult]:
    """The outcome for one day."""
    behind = list(state.behind)
    return [check(COMPLETE, state.lines(), checked=1, nothing="there is no day", behind=behind)]
