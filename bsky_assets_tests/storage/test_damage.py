"""Any single file that is damaged costs its own day, is named, and everything else goes on."""

import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from bsky_assets.bluesky.collected import firehose_segments, label_segments
from bsky_assets.cli import app
from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.contracts import (
    ConsolidatedPost,
    RawFeedPost,
    RawFirehosePost,
)
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.prompt import load_prompt
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage import upcasts
from bsky_assets.storage.compaction import compact_firehose_day, compact_labels_day
from bsky_assets.storage.connection import connect
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.places import StoredPath
from bsky_assets_tests.storage.collected import Collected
from testbed import wire
from testbed.rows import feed_post, post_uri, table

pytestmark = pytest.mark.scenario

FIRST = date(2026, 3, 8)
SECOND = FIRST + timedelta(days=1)
DAYS = (FIRST, SECOND)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of two small days, with a file of every kind."""
    root = tmp_path_factory.mktemp("two_days") / "data"
    settings = Settings(_env_file=None, data_dir=root)
    landing = Collected(root)
    for number, day in enumerate((FIRST, FIRST, SECOND, SECOND)):
        landing.land(wire.create(number + 1, f"3{number}"), b"garbage", day=day)
    for segments in (firehose_segments(settings), label_segments(settings)):
        with segments.collecting():
            pass  # so that the timezone is kept
    for day in DAYS:
        lake = Lake.of(settings)
        feeds = table(RawFeedPost, [feed_post("did:plc:f", f"3{day.day}")])
        lake.write(RawFeedPost, day, feeds)
        make(settings, day)
        ledger_of(settings).record_prompt(load_prompt(), day)
        (root / "reports").mkdir(exist_ok=True)
        (root / "reports" / f"{day}.html").write_text("<html>a day</html>\n")
    publish(settings)
    return root


def make(settings: Settings, day: date) -> None:
    lake = Lake.of(settings)
    with connect(settings) as con:
        segments = firehose_segments(settings)
        compact_firehose_day(con, lake, segments, day)
        compact_labels_day(con, lake, label_segments(settings), segments, day)
        consolidate_day(con, lake, day)


def files(root: Path) -> Iterator[Path]:
    return (
        path.relative_to(root)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    )


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def double(path: Path) -> None:
    shutil.copyfile(path, path.with_name(f"{path.stem} (copy){path.suffix}"))


DAMAGES: tuple[Callable[[Path], Any], ...] = (
    truncate,
    lambda path: path.write_bytes(b""),
    Path.unlink,
    double,
)
NAMES = ("truncated", "emptied", "removed", "doubled")
OF_EACH_ASSET = {"truncated": (".parquet",), "removed": (".parquet", ".json")}
"""Files that are damaged in each asset. Any other damage is seen by whoever reads the file before
it knows of which asset the file is, and one of a kind stands for all."""


def kind_of(path: Path) -> tuple[str, int, str]:
    """Files of one kind are read by the same code: pointers, partitions, segments, reports."""
    return path.parts[0], len(path.parts), path.suffix


def test_the_walk_meets_every_kind_of_file(made: Path) -> None:
    kinds = {f"{path.parts[0]}/{path.suffix}" for path in files(made)}
    assert kinds >= {"lake/.parquet", "lake/.json", "segments/.parquet", "segments/.json"}
    assert kinds >= {"ledger/.parquet", "reports/.html", "bsky.duckdb/.duckdb"}
    assert len(list(files(made))) > 20


@pytest.mark.parametrize(("name", "damage"), list(zip(NAMES, DAMAGES, strict=True)), ids=NAMES)
def test_damage_of_any_single_file_costs_its_own_day(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: Any
) -> None:
    unnoticed = []
    whole, root = tmp_path / "whole", tmp_path / "data"
    shutil.copytree(made, root)
    monkeypatch.setenv("BSKY_DATA_DIR", str(root))
    get_settings.cache_clear()
    settings = get_settings()
    publish(settings)  # its paths are absolute
    root.rename(whole)
    for path in _damaged_one_by_one(whole, OF_EACH_ASSET.get(name, ())):
        shutil.copytree(whole, root)
        damage(root / path)
        if not _is_told(path):
            unnoticed.append((name, path))
        _other_days_are_made_and_queried(settings, path)
        shutil.rmtree(root)
    # What is not there at all, and is named by nothing, cannot be missed.
    assert all(name == "removed" and _may_be_missing(path) for name, path in unnoticed), unnoticed


def _damaged_one_by_one(root: Path, of_each_asset: tuple[str, ...]) -> list[Path]:
    """One file of each kind, and every file of the lake and of the segments that ends so."""
    # What is of the second day is as what is of the first, but where the streams go on.
    walked = [path for path in files(root) if f"sync_day={SECOND}" not in path.parts[2:4]]
    stored = [path for path in walked if path.parts[0] in ("lake", "segments")]
    each = [path for path in stored if path.suffix in of_each_asset]
    return sorted({*each, *{kind_of(path): path for path in walked}.values()})


def _may_be_missing(path: Path) -> bool:
    return path.parts[0] in ("segments", "ledger", "reports", "bsky.duckdb") or path.name in (
        "timezone.json",
    )


def _is_told(path: Path) -> bool:
    done = CliRunner().invoke(app, ["doctor"])
    assert not isinstance(done.exception, UserError), done.exception
    told = path.parent.as_posix() in done.output or path.name in done.output
    if "nothing is damaged" in done.output:
        assert done.exit_code == 0
    else:
        assert done.exit_code == 1, done.output
    return told


def _other_days_are_made_and_queried(settings: Settings, path: Path) -> None:
    damaged = next((day for day in DAYS if str(day) in path.as_posix()), None)
    for day in DAYS:
        problem = ""
        try:
            make(settings, day)
        except UserError as error:
            problem = str(error)
        if problem:
            assert day == damaged, problem
            assert str(day) in problem
            assert path.name in problem
            assert "make room" not in problem
    for day in DAYS:
        if day == damaged:
            continue
        sql = f"SELECT count(*) FROM consolidated_posts WHERE sync_day = '{day}'"
        done = CliRunner().invoke(app, ["query", sql])
        assert done.exit_code == 0, (path, done.output, done.exception)
        assert "3" in done.output, (path, done.output)


def test_a_query_without_a_day_leaves_out_what_is_damaged_and_says_so(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = tmp_path / "data"
    shutil.copytree(made, root)
    monkeypatch.setenv("BSKY_DATA_DIR", str(root))
    get_settings.cache_clear()
    publish(get_settings())
    partition = Lake.of(get_settings()).current(ConsolidatedPost, FIRST)
    assert partition is not None
    Path(str(partition.path)).unlink()
    done = CliRunner().invoke(app, ["query", "SELECT DISTINCT sync_day FROM consolidated_posts"])
    assert str(SECOND) in done.output
    assert str(FIRST) not in done.output
    assert partition.path.name in caplog.text
    status = CliRunner().invoke(app, ["status"])
    assert status.exit_code == 0
    assert "doctor" in status.output


def test_a_look_at_all_days_opens_the_files_of_the_last_and_of_none_that_is_whole(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, opened = tmp_path / "data", []
    shutil.copytree(made, root)
    monkeypatch.setenv("BSKY_DATA_DIR", str(root))
    get_settings.cache_clear()
    read_schema, glob = upcasts.read_schema, Path.glob

    def looked_at(path: StoredPath) -> pa.Schema:
        opened.append(Path(str(path)).parent.name)
        return read_schema(path)

    def listed(folder: Path, pattern: str) -> Iterator[Path]:
        if folder.parent.name == "firehose" and pattern == "*.parquet":
            opened.append(f"segments of {folder.name}")
        return glob(folder, pattern)

    monkeypatch.setattr(upcasts, "read_schema", looked_at)
    monkeypatch.setattr(Path, "glob", listed)
    assert CliRunner().invoke(app, ["status"]).exit_code == 0
    assert f"sync_day={SECOND}" in opened
    assert f"sync_day={FIRST}" not in opened
    # Once to see that there are any, and once for which.
    assert opened.count(f"segments of sync_day={FIRST}") <= 2
    partition = Lake.of(get_settings()).current(ConsolidatedPost, FIRST)
    assert partition is not None
    truncate(Path(str(partition.path)))
    assert "damaged: doctor" in CliRunner().invoke(app, ["status"]).output
    assert f"sync_day={FIRST}" in opened


def test_vacuum_leaves_alone_what_a_lost_pointer_may_have_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "data")
    lake = Lake(tmp_path / "data" / "lake")
    folder = lake.root / RawFirehosePost.asset / f"sync_day={FIRST}"
    (folder / "current.json").unlink()
    lake.vacuum(grace=timedelta(seconds=-5))
    assert len(list(folder.glob("part-*.parquet"))) == 1


def test_post_uris_of_the_fixture(made: Path) -> None:
    with connect(Settings(_env_file=None, data_dir=made)) as con:
        lake = Lake(made / "lake")
        found = lake.relation(con, ConsolidatedPost, [FIRST]).select("uri").fetchall()
    assert post_uri("did:plc:f", "38") in {uri for (uri,) in found}
