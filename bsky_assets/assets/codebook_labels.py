"""What a language model answers to the user's codebooks: an asset each, made from its file."""

import logging
from collections.abc import Iterator

from dagster import AssetDep, AssetExecutionContext, AssetsDefinition, MaterializeResult
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.student_scores import student_scores
from bsky_assets.checks import llm_labels as checks
from bsky_assets.contracts.codebooks import CodebookLabel, load_codebooks, rows_of
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.labelling import Labelling, labelled
from bsky_assets.orchestration.materialisation import row_asset
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.settings import Settings

_log = logging.getLogger(__name__)


def codebook_assets(settings: Settings) -> Iterator[AssetsDefinition]:
    """An asset for each codebook of the data directory that can be used.

    What is wrong with another is told in the log: it must not keep a day from being collected.
    """
    found = load_codebooks(settings.codebooks_dir)
    for problem in found.problems:
        _log.warning("a codebook is left out: %s", problem)
    for row in rows_of(found):
        yield _asset(row)


def _asset(row: type[CodebookLabel]) -> AssetsDefinition:
    codebook, asset_checks = row.codebook, checks.specs(row.asset)

    @row_asset(
        row,
        group="labels",
        kinds={"openai"},
        checks=asset_checks,
        deps=[filtered_posts, student_scores, *(AssetDep(parent.asset) for parent in row.parents)],
        pool="llm_endpoint",
        description=f"{codebook.question} By the codebook {codebook.name}, version "
        f"{codebook.version}, of the data directory. One row is one answer of one post by one "
        "model and prompt.",
    )
    @skips_empty_days(asset_checks)
    def codebook_labels(
        context: AssetExecutionContext,
        config: Labelling,
        data: DataDirectory,
        duckdb: DuckDBResource,
    ) -> MaterializeResult:
        return labelled(context, config, data, duckdb, row, checks.evaluate)

    return codebook_labels
