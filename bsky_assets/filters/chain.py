"""The chain over a whole day.

`filter_day` has the consolidated posts of a day judged batch by batch, by worker processes, and
writes each post with its verdict. Nothing is let through by a failure: a canary that flips, a
filter that raises or a worker that dies stops the day.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import closing
from datetime import date, datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.contracts import ConsolidatedPost, FilteredPost, arrow_schema
from bsky_assets.contracts.details import FilterDetails, FilterStep
from bsky_assets.contracts.progress import Progress, Reporter
from bsky_assets.errors import UserError
from bsky_assets.filters.batches import BATCH_ROWS, judged_batches
from bsky_assets.filters.config import config_version, facts_config
from bsky_assets.filters.facts import gathering as whole_day
from bsky_assets.filters.judge import VERDICTS, FilterFailed
from bsky_assets.filters.measuring import canaries
from bsky_assets.filters.registry import chain
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition, Versions
from bsky_assets.sync_day import bounds, now, synctimestamp

__all__ = ["FilterFailed", "NothingToFilter", "filter_day"]


class NothingToFilter(UserError):
    """The day has no consolidated posts."""


def filter_day(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    settings: Settings,
    *,
    progress: Reporter | None = None,
) -> Partition:
    """Write the posts of `day` with their verdicts; `details` has the funnel and the versions.

    Raises:
        NothingToFilter: there is no partition of consolidated posts.
        canaries.CanariesFailed: a filter no longer tells what it must.
        FilterFailed: a filter cannot be made or raised an error.
        ContractViolation: the posts are of an earlier contract and cannot be read as today's.
    """
    inputs = made_from(lake, FilteredPost, day)
    partition = lake.current(ConsolidatedPost, day)
    if partition is None:
        raise NothingToFilter(
            f"there are no consolidated posts on {day}; consolidate the day first"
        )
    canaries.require(settings)
    with whole_day.under_todays_contract(con, lake, partition) as posts:
        return _filter(con, lake, posts, settings, inputs, progress)


def _filter(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    partition: Partition,
    settings: Settings,
    inputs: Versions,
    progress: Reporter | None,
) -> Partition:
    at, day, version = now(), partition.day, config_version(settings)
    facts = whole_day.gather(
        con,
        lake,
        day,
        partition.path,
        min(at, bounds(day, settings.timezone)[1]),
        facts_config(),
        settings.trusted_labelers,
    )
    tally = Tally()

    def batches() -> Generator[pa.RecordBatch, None, None]:
        read = partition.batches(BATCH_ROWS)
        for posts, verdict in judged_batches(read, partition.rows, facts, settings):
            tally.add(verdict)
            yield _row(posts, verdict, at, version)
            if progress:
                progress(Progress(FilteredPost.asset, tally.posts, partition.rows))

    with closing(batches()) as rows:
        reader = pa.RecordBatchReader.from_batches(arrow_schema(FilteredPost), rows)
        return lake.write(
            FilteredPost, day, reader, lambda: tally.details(version), made_from=inputs
        )


def _row(
    posts: pa.RecordBatch, verdict: pa.RecordBatch, at: datetime, version: str
) -> pa.RecordBatch:
    """Rows of the contract, from posts and what the filters say of them."""
    schema = arrow_schema(FilteredPost)
    made = {
        "filtered_at": at,
        "filter_version": version,
        "preprocessing_timestamp": synctimestamp(at),
    }
    columns = []
    for field in schema:
        if field.name in VERDICTS.names:
            columns.append(verdict.column(field.name))
        elif field.name in made:
            columns.append(pa.repeat(pa.scalar(made[field.name], field.type), posts.num_rows))
        elif field.name == "synctimestamp":
            columns.append(pc.struct_field(posts.column("metadata"), "synctimestamp"))
        else:
            columns.append(posts.column(field.name))
    return pa.RecordBatch.from_arrays(columns, names=schema.names).cast(schema)


class Tally:
    """Counts what the filters let through and what they stopped, and why."""

    def __init__(self) -> None:
        self.posts = 0
        self._passed = 0
        self._stopped: Counter[tuple[str, str]] = Counter()
        self._languages: Counter[str] = Counter()

    def add(self, verdict: pa.RecordBatch) -> None:
        """Count the verdicts (`VERDICTS`) of one batch."""
        self.posts += verdict.num_rows
        self._passed += pc.sum(verdict.column("passed_filters")).as_py() or 0
        codes = pc.replace_substring_regex(verdict.column("filter_reason"), " .*", "")
        stopped = pa.table({"by": verdict.column("filtered_by_func"), "code": codes})
        for row in stopped.group_by(["by", "code"]).aggregate([([], "count_all")]).to_pylist():
            if row["by"] is not None:
                self._stopped[row["by"], row["code"]] += row["count_all"]
        for row in pc.value_counts(verdict.column("language")).to_pylist():
            self._languages[row["values"] or "und"] += row["counts"]

    def details(self, version: str) -> FilterDetails:
        """The funnel filter by filter, and the languages, by filters of `version`."""
        funnel, reached = [], self.posts
        for link in chain():
            reasons = {
                code: count
                for (name, code), count in self._stopped.most_common()
                if name == link.name
            }
            stopped = sum(reasons.values())
            funnel.append(
                FilterStep(
                    filter=link.name,
                    reached=reached,
                    stopped=stopped,
                    passed=reached - stopped,
                    reasons=reasons,
                )
            )
            reached -= stopped
        return FilterDetails(
            posts=self.posts,
            passed=self._passed,
            funnel=tuple(funnel),
            languages=dict(self._languages.most_common()),
            filter_version=version,
        )
