"""What of every asset depends on settings: its partitions, its code version, and its defaults.

What belongs here: what is the same for all of them. What does not: what one asset does with a
setting; it has them from its resource `data`.
"""

import warnings
from collections.abc import Sequence
from inspect import getsourcefile, getsourcelines, unwrap

from dagster import (
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BetaWarning,
    CodeReferencesMetadataValue,
    LocalFileCodeReference,
)
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction

from bsky_assets.bluesky.versions import READERS, reader_version
from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.lineage import DAILY_REPORT, ROWS, contract_of, lineage_version
from bsky_assets.contracts.news import NEWS, VIEWS, ContextEffect, NewsContext, NewsView
from bsky_assets.contracts.survival import SURVIVAL
from bsky_assets.labelling.news_texts import reads_news
from bsky_assets.orchestration.launchpad import filled_in
from bsky_assets.orchestration.partitions import sync_days
from bsky_assets.orchestration.staleness import made_with
from bsky_assets.reporting.version import report_version
from bsky_assets.settings import Settings
from bsky_assets.storage.tables import rows_by_settings


def absent_assets(settings: Settings) -> set[str]:
    """The assets of the package that the settings want none of: news, and what an archive keeps."""
    there = {row.asset for row in rows_by_settings(settings)}
    return {row.asset for row in (*NEWS, *VIEWS, *SURVIVAL)} - there


def of_settings(
    asset: AssetsDefinition, settings: Settings, codebooks: Sequence[type[Row]] = ()
) -> AssetsDefinition:
    """The asset under `settings`; the daily report is made from those of `codebooks` too, and
    `llm_labels` from the one that may overrule a filter, and from news where
    it is asked with these."""

    rows = (*ROWS, *rows_by_settings(settings), *codebooks)
    labels = [AssetKey(row.asset) for row in codebooks]
    source, absent = _source(asset), absent_assets(settings)

    def complete(spec: AssetSpec) -> AssetSpec:
        name, decides = spec.key.to_user_string(), f"labels_{settings.overruling_codebook}"
        more = labels if name == DAILY_REPORT else []
        if name == LlmLabel.asset:
            more = [key for key in labels if key.to_user_string() == decides]
            more += [AssetKey(NewsContext.asset)] if reads_news(settings) else []
            if reads_news(settings) and settings.news_views:
                more += [AssetKey(NewsView.asset)]
            if reads_news(settings) and settings.news_context == "proven":
                more += [AssetKey(ContextEffect.asset)]
        there = [dep for dep in spec.deps if dep.asset_key.to_user_string() not in absent]
        return spec.replace_attributes(
            deps=[*there, *more],
            partitions_def=sync_days(settings),
            code_version=_code_version(spec.key.to_user_string(), settings, rows),
            metadata={**spec.metadata, "dagster/code_references": source},
        )

    return filled_in(asset, settings).map_asset_specs(complete)


def _source(asset: AssetsDefinition) -> CodeReferencesMetadataValue:
    """Where the function of an asset stands."""
    compute = asset.op.compute_fn
    assert isinstance(compute, DecoratedOpFunction)
    function = unwrap(compute.decorated_fn)
    file, line = getsourcefile(function), getsourcelines(function)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)  # the UI shows them all the same
        place = LocalFileCodeReference(file_path=str(file), line_number=line)
        return CodeReferencesMetadataValue(code_references=[place])


def _code_version(asset: str, settings: Settings, rows: Sequence[type[Row]]) -> str:
    """Of what decides the rows: contracts anywhere in the lineage, and say a prompt or readers.

    Another one marks stored partitions as made by other code.
    """
    if asset == DAILY_REPORT:
        return report_version()
    row = contract_of(asset, rows)
    readers = [reader_version(row)] if row in READERS else []
    return "-".join([lineage_version(row), *made_with(row, settings).values(), *readers])
