"""What a language model answers to the user's codebooks: an asset each, made from its file."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from dagster import (
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    MaterializeResult,
)
from dagster_duckdb import DuckDBResource

from bsky_assets.assets.filtered_posts import filtered_posts
from bsky_assets.assets.student_scores import student_scores
from bsky_assets.checks import llm_labels as checks
from bsky_assets.contracts.codebooks import CodebookLabel, load_codebooks, rows_of
from bsky_assets.orchestration.empty_days import skips_empty_days
from bsky_assets.orchestration.labelling import Labelling, labelled
from bsky_assets.orchestration.materialisation import Materialise, explained, row_asset
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.settings import Settings
from bsky_assets.storage.codebooks import keep_codebook

_log = logging.getLogger(__name__)


def codebook_rows(
    settings: Settings, files: Iterable[Path] = ()
) -> tuple[type[CodebookLabel], ...]:
    """The tables of the codebooks of the data directory and of `files`, of those that can be used.

    What is wrong with another is told in the log: it must not keep a day from being collected.
    """
    found = load_codebooks(settings.codebooks_dir, files)
    for problem in found.problems:
        _log.warning("a codebook is left out: %s", problem)
    return rows_of(found)


def codebook_asset(row: type[CodebookLabel], file: Path | None = None) -> AssetsDefinition:
    """The asset of a codebook of the data directory, or of one in a `file` elsewhere.

    That one is put into the data directory before it asks: report, evaluation and commands look
    there.
    """
    asset_checks = checks.specs(row.asset)

    @_declared(row, asset_checks)
    @skips_empty_days(asset_checks)
    def codebook_labels(
        context: AssetExecutionContext,
        config: Labelling,
        data: DataDirectory,
        duckdb: DuckDBResource,
    ) -> MaterializeResult:
        return _labelled(context, config, data, duckdb, row, file)

    return codebook_labels


def codebook_asset_alone(
    row: type[CodebookLabel], file: Path, settings: Settings
) -> AssetsDefinition:
    """The same for definitions that are not the platform's, and do not have its resources."""
    asset_checks = checks.specs(row.asset)
    data, duckdb = DataDirectory(settings), duckdb_resource(settings)
    labels = skips_empty_days(asset_checks)(_labelled)

    @_declared(row, asset_checks)
    def codebook_labels(context: AssetExecutionContext, config: Labelling) -> MaterializeResult:
        return labels(context, config=config, data=data, duckdb=duckdb, row=row, file=file)

    return codebook_labels


def _declared(
    row: type[CodebookLabel], asset_checks: Sequence[AssetCheckSpec]
) -> Callable[[Materialise], AssetsDefinition]:
    codebook = row.codebook
    return row_asset(
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


def _labelled(
    context: AssetExecutionContext,
    config: Labelling,
    data: DataDirectory,
    duckdb: DuckDBResource,
    row: type[CodebookLabel],
    file: Path | None,
) -> MaterializeResult:
    if file:
        with explained():
            keep_codebook(data.settings, file, row)
    return labelled(context, config, data, duckdb, row, checks.evaluate)
