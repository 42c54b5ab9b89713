"""What Dagster loads: every asset with its checks, jobs, schedules, sensors and resources."""

from datetime import date

from dagster import (
    AssetsDefinition,
    Definitions,
    in_process_executor,
    load_assets_from_package_module,
)

from bsky_assets import assets
from bsky_assets.assets.codebook_labels import codebook_asset, codebook_rows
from bsky_assets.assets.daily_report import daily_report
from bsky_assets.components import scaffolded_codebooks
from bsky_assets.orchestration.automation import daily_sync, daily_sync_schedule
from bsky_assets.orchestration.following import follow_inputs_sensor
from bsky_assets.orchestration.healing import heal_days_sensor, healing
from bsky_assets.orchestration.maintenance import maintenance, maintenance_schedule
from bsky_assets.orchestration.of_settings import absent_assets, of_settings
from bsky_assets.orchestration.partitions import from_first_day
from bsky_assets.orchestration.refresh import refresh_stale_sensor
from bsky_assets.orchestration.resources import DataDirectory, duckdb_resource
from bsky_assets.orchestration.run_log import console, plain_lines
from bsky_assets.settings import Settings, get_settings


def build_defs(settings: Settings) -> Definitions:
    """The definitions for `settings`; tests build the same with settings of their own.

    Their partitions begin with the first day that is stored, unless BSKY_FIRST_DAY says which.

    Raises:
        OtherTimezone: what is stored has sync days of another timezone.
    """
    settings = from_first_day(settings)
    return Definitions(
        assets=_assets(settings),
        jobs=[daily_sync, maintenance, healing],
        schedules=[daily_sync_schedule(settings), maintenance_schedule(settings)],
        sensors=[
            follow_inputs_sensor(settings),
            refresh_stale_sensor(settings),
            heal_days_sensor(settings),
        ],
        resources={"data": DataDirectory(settings), "duckdb": duckdb_resource(settings)},
        executor=in_process_executor,
        loggers={"console": console, "plain_lines": plain_lines},
    )


def _assets(settings: Settings) -> list[AssetsDefinition]:
    """Those of the package, of which the settings may want no news and no archive, and one for each
    codebook of the data directory and of the project."""
    absent = absent_assets(settings)
    found = load_assets_from_package_module(assets)
    of_package = (asset for asset in found if isinstance(asset, AssetsDefinition))
    files = {path.stem: path for path in scaffolded_codebooks()}
    rows = codebook_rows(settings, files.values())
    every = (*of_package, *(codebook_asset(row, files.get(row.codebook.name)) for row in rows))
    return [
        of_settings(asset, settings, rows)
        for asset in every
        if asset.key.to_user_string() not in absent
    ]


def current_defs(day: date | None = None) -> Definitions:
    """The definitions for the settings in force, also where these have changed since the import.

    If a `day` is named, it is one of their partitions, though it may be before the first.
    """
    settings = get_settings()
    found = defs if settings == _settings else build_defs(settings)
    if day is None or _has_partition(found, day):
        return found
    return build_defs(settings.model_copy(update={"first_day": day}))


def _has_partition(definitions: Definitions, day: date) -> bool:
    partitions = definitions.resolve_assets_def(daily_report.key).partitions_def
    return partitions is not None and partitions.has_partition_key(day.isoformat())


_settings = get_settings()
defs = build_defs(_settings)
