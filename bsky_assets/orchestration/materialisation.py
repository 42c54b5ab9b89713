"""What every asset has in common in Dagster's eyes: schema, lineage, result and failure.

What belongs here: turning contracts and partitions into Dagster's terms. What does not: what any
one asset does, which is in `assets`, or what it is checked for, which is in `checks`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Backoff,
    DataVersion,
    Failure,
    FreshnessPolicy,
    Jitter,
    MaterializeResult,
    MetadataValue,
    RetryPolicy,
    TableColumn,
    TableColumnConstraints,
    TableColumnDep,
    TableColumnLineage,
    TableConstraints,
    TableRecord,
    TableSchema,
    asset,
)
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from bsky_assets.contracts import Row, columns
from bsky_assets.contracts.base import Column
from bsky_assets.contracts.lineage import reads, summary
from bsky_assets.errors import UserError
from bsky_assets.orchestration.partitions import day_of
from bsky_assets.orchestration.resources import DataDirectory
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

Materialise = Callable[..., MaterializeResult]

NETWORK_RETRIES = RetryPolicy(
    max_retries=2, delay=30, backoff=Backoff.EXPONENTIAL, jitter=Jitter.FULL
)
"""For assets that read the network; an error that a person must mend is not tried again."""

DAILY = FreshnessPolicy.time_window(
    warn_window=timedelta(hours=26), fail_window=timedelta(hours=50)
)
"""Once a day, with two hours to spare; a day that was left out is a failure."""

SAMPLE_ROWS = 8


def row_asset(
    row: type[Row],
    *,
    group: str,
    kinds: Iterable[str] = (),
    deps: Iterable[AssetDep | AssetsDefinition] = (),
    checks: Sequence[AssetCheckSpec] = (),
    retry_policy: RetryPolicy | None = None,
    pool: str | None = None,
    description: str | None = None,
) -> Callable[[Materialise], AssetsDefinition]:
    """`@asset` for a table whose contract is `row`: name and schema follow from it.

    Its partitions and its code version depend on settings: `of_settings` gives it both. It is
    described by the function's docstring unless a `description` is given.
    """
    return asset(
        name=row.asset,
        group_name=group,
        kinds={"duckdb", "parquet", *kinds},
        deps=list(deps),
        check_specs=list(checks),
        retry_policy=retry_policy,
        pool=pool,
        description=description,
        freshness_policy=DAILY,
        metadata={
            "dagster/column_schema": _table_schema(row),
            "one_row_is": _first_line(row.__doc__),
            "unique_within_a_day": ", ".join(row.key),
            **({"made_from": _lineage_table(row)} if reads(row) else {}),
        },
    )


def _table_schema(row: type[Row]) -> TableSchema:
    """Dagster's table schema of a contract: the top-level columns and the fields of structs."""
    return TableSchema(
        columns=[
            TableColumn(
                name=column.name,
                type=_type_name(column),
                description=_described(column.description, column.sources),
                constraints=TableColumnConstraints(
                    nullable=column.nullable, unique=(column.name,) == row.key
                ),
            )
            for column in columns(row)
        ],
        constraints=TableConstraints(other=[f"unique: {', '.join(row.key)}"]),
    )


def column_lineage(row: type[Row]) -> TableColumnLineage | None:
    """Which upstream columns each column is made from, where the contract names any."""
    deps = {
        column.name: [_dep(source) for source in column.sources]
        for column in columns(row)
        if column.sources
    }
    return TableColumnLineage(deps_by_column=deps) if deps else None


def _lineage_table(row: type[Row]) -> MetadataValue:
    """For a person, each column and what it is made from."""
    return frame_table(pd.DataFrame(summary(row), columns=["column", "made from"]))


@dataclass(frozen=True)
class Making:
    """What an asset makes the partition of `day` with, and how it tells of it in the UI."""

    row: type[Row]
    day: date
    con: DuckDBPyConnection
    lake: Lake
    started: float
    """`time.monotonic()` when the work began."""

    def rows(self) -> DuckDBPyRelation:
        """What is stored of the day."""
        return self.lake.relation(self.con, self.row, [self.day])

    def sample(self, partition: Partition, select: str, *, each: str) -> MetadataValue:
        """See the function `sample`."""
        return sample(self.con, self.lake, partition, self.row, select, each=each)

    def result(
        self,
        partition: Partition,
        *,
        sample: MetadataValue | None = None,
        checks: Sequence[AssetCheckResult] = (),
        **metadata: Any,
    ) -> MaterializeResult:
        """What a partition's materialisation tells.

        Args:
            partition: what was stored.
            sample: a few rows, without any text that a post brought.
            checks: outcomes of the asset's own checks.
            metadata: what else there is to tell.
        """
        # The UI keeps this order: what the asset has to tell comes before how it was stored.
        entries: dict[str, Any] = {
            "dagster/partition_row_count": partition.rows,
            **metadata,
            **({"sample": sample} if sample else {}),
            "bytes": partition.bytes,
            "seconds": round(time.monotonic() - self.started, 2),
            "path": MetadataValue.path(str(partition.path)),
            "details": MetadataValue.json(dict(partition.details)),
            "dagster/column_schema": _table_schema(self.row),
        }
        if lineage := column_lineage(self.row):
            entries["dagster/column_lineage"] = lineage
            entries["made_from"] = _lineage_table(self.row)
        return MaterializeResult(
            metadata=entries,
            check_results=list(checks),
            # What is downstream is out of date if these rows were made anew, and only then.
            data_version=DataVersion(partition.version),
        )


@contextmanager
def making(
    row: type[Row], context: AssetExecutionContext, data: DataDirectory, duckdb: DuckDBResource
) -> Iterator[Making]:
    """Make a partition in the block: the catalogue shows it then, and a failure says what to do."""
    started, day = time.monotonic(), day_of(context.partition_key)
    with explained(), data.published(), duckdb.get_connection() as con:
        yield Making(row, day, con, data.lake, started)


def sample(
    con: DuckDBPyConnection,
    lake: Lake,
    partition: Partition,
    row: type[Row],
    select: str,
    *,
    each: str,
) -> MetadataValue:
    """A row of each kind that there is, the most frequent first, and how many are of that kind.

    `each` is the SQL of what rows of a kind have in common. `select` must leave out what a post
    says: Dagster's event log does not honour deletions.
    """
    rows = lake.relation(con, row, [partition.day]).select(f"{select}, {each} AS of_kind")
    chosen = rows.query(
        "told",
        f"""
        SELECT one.* EXCLUDE (of_kind), such_rows FROM (
            SELECT first(told) AS one, count(*) AS such_rows FROM told
            GROUP BY of_kind ORDER BY such_rows DESC, of_kind LIMIT {SAMPLE_ROWS}
        )
        """,
    )
    assert chosen is not None, "a SELECT gives rows"
    return frame_table(chosen.to_df())


def frame_table(frame: pd.DataFrame) -> MetadataValue:
    """A data frame as a table in the UI, every value as text, and a missing one as null."""
    shown = frame.astype(object).where(frame.notna(), "null")
    records = [
        TableRecord({str(name): str(value) for name, value in line.items()})
        for line in shown.to_dict(orient="records")
    ]
    return MetadataValue.table(
        records=records, schema=TableSchema([TableColumn(str(name)) for name in frame.columns])
    )


def counts_table(what: str, counts: Mapping[str, int]) -> MetadataValue:
    """Counts by name as a table in the UI, the largest first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return frame_table(pd.DataFrame(ranked, columns=[what, "count"]))


@contextmanager
def explained() -> Iterator[None]:
    """Let an error that the user can mend fail the step with its one line, and no retry."""
    try:
        yield
    except UserError as error:
        raise Failure(description=str(error), allow_retries=False) from None


def check(
    spec: AssetCheckSpec,
    problems: Iterable[str],
    *,
    checked: int,
    nothing: str,
    is_error: bool = False,
    **metadata: Any,
) -> AssetCheckResult:
    """The outcome of a check: passed if there are no problems, and otherwise it names them.

    `checked` is how many things it looked at. One that looked at none has not passed: it warns,
    and says with `nothing` what was not there. What does not block warns, unless it `is_error`.
    """
    found, is_error = list(problems), is_error or spec.blocking
    if not found and not checked:
        found, is_error = [f"nothing was checked: {nothing}"], False
    return AssetCheckResult(
        check_name=spec.name,
        asset_key=spec.asset_key,
        passed=not found,
        severity=AssetCheckSeverity.ERROR if is_error else AssetCheckSeverity.WARN,
        description="; ".join(found) or None,
        metadata={"checked": checked, **metadata},
    )


def _type_name(column: Column) -> str:
    if not column.nested:
        return str(column.type).replace("<element: ", "<").replace(" not null", "")
    return "list<struct>" if str(column.type).startswith("list") else "struct"


def _dep(source: str) -> TableColumnDep:
    asset, _, column = source.partition(".")
    return TableColumnDep(asset_key=AssetKey(asset), column_name=column)


def _described(description: str, sources: tuple[str, ...]) -> str:
    return f"{description} ← {', '.join(sources)}" if sources else description


def _first_line(text: str | None) -> str:
    return (text or "").splitlines()[0]
