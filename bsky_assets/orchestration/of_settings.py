"""What of every asset depends on settings: its partitions and its code version.

What belongs here: what is the same for all of them. What does not: what one asset does with a
setting; it has them from its resource `data`.
"""

from dagster import AssetsDefinition, AssetSpec

from bsky_assets.bluesky.versions import READERS, reader_version
from bsky_assets.contracts.lineage import DAILY_REPORT, contract_of, lineage_version
from bsky_assets.orchestration.partitions import sync_days
from bsky_assets.orchestration.staleness import made_with
from bsky_assets.reporting.version import report_version
from bsky_assets.settings import Settings


def of_settings(asset: AssetsDefinition, settings: Settings) -> AssetsDefinition:
    def complete(spec: AssetSpec) -> AssetSpec:
        return spec.replace_attributes(
            partitions_def=sync_days(settings),
            code_version=_code_version(spec.key.to_user_string(), settings),
        )

    return asset.map_asset_specs(complete)


def _code_version(asset: str, settings: Settings) -> str:
    """Of what decides the rows: contracts anywhere in the lineage, and say a prompt or readers.

    Another one marks stored partitions as made by other code.
    """
    if asset == DAILY_REPORT:
        return report_version()
    row = contract_of(asset)
    readers = [reader_version(row)] if row in READERS else []
    return "-".join([lineage_version(row), *made_with(row, settings).values(), *readers])
