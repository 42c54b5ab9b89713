"""Which posts are gone from an archive, against what the sandbox's world knows to be deleted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import AssetKey, DagsterInstance, build_schedule_context, materialize
from scipy.stats import binomtest

from bsky_assets.analysis.estimating.survival import write_survival
from bsky_assets.bluesky.archive.ingest import ingest_day
from bsky_assets.bluesky.collected import firehose_segments
from bsky_assets.bluesky.collector import sync_firehose
from bsky_assets.bluesky.streaming import Limits
from bsky_assets.commands.running import selected
from bsky_assets.contracts import FilteredPost, LlmLabel, RawFirehosePost
from bsky_assets.contracts.details import SurvivalDetails
from bsky_assets.contracts.survival import ArchiveSurvival
from bsky_assets.definitions import build_defs
from bsky_assets.orchestration.automation import daily_sync_schedule
from bsky_assets.orchestration.unfinished import Look
from bsky_assets.reporting.report import report_of, write_page
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.compaction import compact_firehose_day
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import now
from bsky_assets_tests.bluesky.archive.serving import DAY, SMALL, reachable, world_of
from bsky_assets_tests.reporting.day_pages import Page
from bsky_assets_tests.sandbox.streams import relay_of
from bsky_assets_tests.support.serving import served
from bsky_sandbox.archive import Archive
from bsky_sandbox.posts import micros_of
from bsky_sandbox.server import history_of
from testbed.rows import filtered_post, table

DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
YESTERDAY = DAY - timedelta(days=1)
TEN_MINUTES = 600 * 1_000_000


@dataclass(frozen=True)
class Planted:
    """What is said of a post, by its place among the day's."""

    place: int

    @property
    def verdict(self) -> str:
        return ("passed", "passed", "is_english", "has_no_spam", "not known")[self.place % 5]

    @property
    def side(self) -> str | None:
        """None where nothing labelled it."""
        if self.verdict != "passed" or self.place % 7 == 0:
            return None
        return ("left", "right", "not_sociopolitical")[self.place % 3]

    @property
    def days_old(self) -> int | None:
        return (None, 5, 100, 400)[self.place % 4] if self.verdict != "not known" else None

    @property
    def strata(self) -> Iterator[tuple[str, str]]:
        yield "all", "all"
        yield "verdict", self.verdict
        political = {None: "not known", "not_sociopolitical": "not_sociopolitical"}
        yield "label", political.get(self.side, "political")
        yield "side", self.side if self.side in ("left", "right") else "not known"
        ages = {
            None: "not known",
            5: "under 30 days",
            100: "30 to 364 days",
            400: "365 days or more",
        }
        yield "account_age", ages[self.days_old]


def is_planted(uri: str) -> bool:
    """Whether a post is taken out of the archive besides those that the world deletes."""
    return sum(uri.rpartition("/")[2].encode()) % 6 == 0


def key_clock(uri: str) -> int:
    """The microseconds in the record key of a post."""
    number = 0
    for digit in uri.rpartition("/")[2]:
        number = number * 32 + DIGITS.index(digit)
    return number >> 10


def streamed(folder: Path, url: str) -> list[dict[str, Any]]:
    """What the stream brings."""
    live = Settings(
        _env_file=None,
        data_dir=folder,
        relay_url=url.replace("http", "ws"),
        sync_timezone="UTC",
    )
    sync_firehose(live, Limits(max_seconds=60), idle_seconds=0.1)
    (received,) = firehose_segments(live).days()
    with duckdb.connect() as con:
        lake = Lake.of(live)
        compact_firehose_day(con, lake, firehose_segments(live), received)
        rows = lake.relation(con, RawFirehosePost, [received]).to_arrow_table().to_pylist()
    return [{k: v for k, v in row.items() if k != "sync_day"} for row in rows]


def lay_down(lake: Lake, rows: list[dict[str, Any]]) -> None:
    """The day's raw posts, verdicts and labels."""
    lake.write(RawFirehosePost, DAY, table(RawFirehosePost, rows))
    verdicts, labels = [], []
    for place, row in enumerate(rows):
        one = Planted(place)
        if one.verdict == "not known":
            continue
        passed = one.verdict == "passed"
        made = None if one.days_old is None else row["commit_time"] - timedelta(days=one.days_old)
        verdicts.append(
            filtered_post(place, "a text")
            | {
                "uri": row["uri"],
                "author": {"did": row["author"], "created_at": made},
                "passed_filters": passed,
                "filtered_by_func": None if passed else one.verdict,
            }
        )
        if one.side:
            is_political = one.side != "not_sociopolitical"
            label = {
                "uri": row["uri"],
                "is_label_of_record": True,
                "is_sociopolitical": is_political,
                "political_ideology": one.side if is_political else None,
                "was_successfully_labeled": True,
            }
            labels += [label, {**label, "is_label_of_record": False, "model": "another"}]
    lake.write(FilteredPost, DAY, table(FilteredPost, verdicts))
    lake.write(LlmLabel, DAY, table(LlmLabel, labels))


@dataclass(frozen=True)
class Scene:
    """A day that came by the stream and is compared with an archive; the day before is from it."""

    settings: Settings
    rows: list[dict[str, Any]]
    gone: set[str]
    outcome: Any

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    def measured(self, day: date = DAY) -> tuple[Partition, SurvivalDetails]:
        partition = self.lake.current(ArchiveSurvival, day)
        assert partition
        return partition, partition.told(SurvivalDetails)

    def counted(self) -> dict[tuple[str, str], dict[str, Any]]:
        with duckdb.connect() as con:
            found = self.lake.relation(con, ArchiveSurvival, [DAY]).to_arrow_table().to_pylist()
        return {(row["divided_by"], row["stratum"]): row for row in found}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, world = tmp_path_factory.mktemp("survival"), world_of(1_500)
    with served(relay_of(world).app()) as url:
        rows = streamed(folder / "live", url)
    gone = {p.uri for p in world.posts if p.is_deleted or p.account_status == "deleted"}
    gone |= {row["uri"] for row in rows if is_planted(row["uri"])}
    history = history_of(world).rows()
    left = [one for one in history if not (one.rkey and is_planted(f"/{one.rkey}"))]
    with reachable(Archive(lambda: left, **SMALL), folder / "data") as settings:
        lay_down(Lake.of(settings), rows)
        ingest_day(settings, YESTERDAY, lambda _: None)
        with duckdb.connect() as con:
            lake = Lake.of(settings)
            compact_firehose_day(con, lake, firehose_segments(settings), YESTERDAY)
            asset = build_defs(settings).resolve_assets_def(AssetKey(ArchiveSurvival.asset))
            with DagsterInstance.ephemeral() as instance:
                outcome = materialize([asset], partition_key=str(DAY), instance=instance)
            write_survival(con, lake, settings, YESTERDAY, lambda _: None)
        yield Scene(settings, rows, gone, outcome)


def test_what_is_gone_is_what_was_deleted_in_each_stratum(scene: Scene) -> None:
    assert scene.outcome.success
    posts: Counter[tuple[str, str]] = Counter()
    gone: Counter[tuple[str, str]] = Counter()
    left_out = 0
    for place, row in enumerate(scene.rows):
        apart = abs(key_clock(row["uri"]) - micros_of(row["commit_time"]))
        if row["action"] == "update" or apart > TEN_MINUTES:
            left_out += 1
            continue
        strata = [*Planted(place).strata, ("hour", f"{row['commit_time'].astimezone(UTC):%H}")]
        posts.update(strata)
        gone.update(strata if row["uri"] in scene.gone else ())
    found = scene.counted()
    assert {key: row["posts"] for key, row in found.items()} == posts
    assert {key: row["gone"] for key, row in found.items()} == {key: gone[key] for key in posts}
    assert 50 < gone["all", "all"] < posts["all", "all"] / 2
    _, told = scene.measured()
    assert (told.posts, told.gone, told.left_out) == (
        posts["all", "all"],
        gone["all", "all"],
        left_out,
    )
    assert told.without_verdict == posts["verdict", "not known"]
    assert told.problem is None


def test_intervals_are_wilsons(scene: Scene) -> None:
    for row in scene.counted().values():
        exact = binomtest(row["gone"], row["posts"]).proportion_ci(0.95, method="wilson")
        assert row["share"] == pytest.approx(row["gone"] / row["posts"])
        assert (row["share_low"], row["share_high"]) == pytest.approx((exact.low, exact.high))


def test_the_day_that_came_by_the_stream_stays_as_it_is(scene: Scene) -> None:
    with duckdb.connect() as con:
        rows = scene.lake.relation(con, RawFirehosePost, [DAY]).to_arrow_table().to_pylist()
    assert {row["uri"] for row in rows} == {row["uri"] for row in scene.rows}
    raw = scene.lake.current(RawFirehosePost, DAY)
    assert raw
    partition, _ = scene.measured()
    assert partition.made_from
    assert partition.made_from["raw_firehose_posts"] == {str(DAY): raw.version}


def test_a_day_that_cannot_be_measured_says_why_and_has_no_rows(scene: Scene) -> None:
    partition, told = scene.measured(YESTERDAY)
    assert partition.rows == 0
    assert told.problem == f"{YESTERDAY} was itself made from an archive"
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    after = DAY + timedelta(days=30)
    lake = scene.lake
    later = scene.rows[0]["commit_time"] + timedelta(days=30)
    late = {**scene.rows[0], "commit_time": later}
    lake.write(RawFirehosePost, after, table(RawFirehosePost, [late]))
    for day, why in (
        (tomorrow, "is not over yet"),
        (DAY - timedelta(days=9), "the stream brought nothing"),
        (after, "can be compared"),
    ):
        with duckdb.connect() as con:
            partition = write_survival(con, lake, scene.settings, day, lambda _: None)
        assert partition.rows == 0
        assert why in (partition.told(SurvivalDetails).problem or "")


def test_what_an_archive_does_not_span_is_not_taken_for_deleted(
    scene: Scene, tmp_path: Path
) -> None:
    times = sorted(micros_of(row["commit_time"]) for row in scene.rows)
    middle = times[len(times) // 2]
    begun = [one for one in history_of(world_of(1_500)).rows() if one.witnessed_at < middle]
    with reachable(Archive(lambda: begun, **SMALL), tmp_path) as settings:
        lake = Lake.of(settings)
        lay_down(lake, scene.rows)
        assert ArchiveSurvival.asset not in Look(settings, now()).state(DAY).behind
        with duckdb.connect() as con:
            partition = write_survival(con, lake, settings, DAY, lambda _: None)
    assert partition.rows == 0
    assert "without a segment missing" in (partition.told(SurvivalDetails).problem or "")


def test_the_report_of_a_day_from_the_archive_says_what_to_expect(scene: Scene) -> None:
    pages = {}
    scene.lake.write(FilteredPost, YESTERDAY, table(FilteredPost, [filtered_post(0, "a text")]))
    for day in (YESTERDAY, DAY):
        with duckdb.connect() as con:
            page = report_of(con, scene.lake, scene.settings, day, [], [])
            pages[day] = Page(write_page(page, scene.lake, scene.settings)).text
    _, told = scene.measured()
    said = f"of {told.posts:,} posts that the stream brought on {DAY}, {told.gone:,} were gone"
    assert said in pages[YESTERDAY]
    assert "has_no_spam" in pages[YESTERDAY]
    assert "What to expect" not in pages[DAY]


def test_it_is_there_with_an_archive_alone_and_made_only_by_its_name(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = AssetKey(ArchiveSurvival.asset)
    without = Settings(_env_file=None, data_dir=tmp_path, archive_url=None)
    assert own not in build_defs(without).resolve_asset_graph().get_all_asset_keys()
    monkeypatch.setenv("BSKY_ARCHIVE_URL", str(scene.settings.archive_url))
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    assert own not in selected("*")
    assert selected(ArchiveSurvival.asset) == [own]
    definitions = build_defs(scene.settings)
    context = build_schedule_context(
        scheduled_execution_time=now(), repository_def=definitions.get_repository_def()
    )
    (request,) = daily_sync_schedule(scene.settings).evaluate_tick(context).run_requests or []
    every = definitions.resolve_asset_graph().get_all_asset_keys()
    assert {*(request.asset_selection or ())} == {*every} - {own}
