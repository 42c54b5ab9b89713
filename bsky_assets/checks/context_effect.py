"""Labels of record are asked for with news only where news is shown to help."""

from collections.abc import Iterator

from dagster import AssetCheckResult, AssetCheckSpec

from bsky_assets.contracts.details import ContextEffectDetails
from bsky_assets.contracts.news import ContextEffect
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.partition import Partition

_HELPS = AssetCheckSpec(
    "news_helps_where_it_is_used",
    asset=ContextEffect.asset,
    description="Where BSKY_NEWS_CONTEXT is on, labels of coded posts are surely right more "
    "often with news than without.",
)
SPECS = [_HELPS]


def evaluate(settings: Settings, partition: Partition) -> list[AssetCheckResult]:
    told = partition.told(ContextEffectDetails)
    return [
        check(
            _HELPS,
            _problems(settings, told),
            checked=told.coded,
            nothing="no post coded by people is stored here; set BSKY_LLM_GOLD to a file of such",
        )
    ]


def _problems(settings: Settings, told: ContextEffectDetails) -> Iterator[str]:
    if settings.news_context == "on" and not told.is_proven:
        yield (
            "labels are asked for with news, and it is not shown to help; set "
            "BSKY_NEWS_CONTEXT=proven to have it only where it is"
        )
