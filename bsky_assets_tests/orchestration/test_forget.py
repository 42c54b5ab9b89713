"""What is to be forgotten is in no byte of the data directory, and does not come back."""

import json
from itertools import product
from pathlib import Path
from shutil import copytree, move

import pandas as pd
import pytest
from dagster import AssetKey
from pyarrow import fs

from bsky_assets.orchestration.instance import open_instance
from bsky_assets.settings import get_settings
from bsky_assets_tests.support.byte_search import holding, holding_pieces, pieces
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.sandbox_day import SandboxDay
from testbed.object_storage import lake_in_bucket

pytestmark = pytest.mark.scenario


def texts_of(day: SandboxDay, where: str) -> list[str]:
    return [
        text
        for (text,) in day.rows(
            f"SELECT record.text FROM raw_firehose_posts WHERE {where} "
            f"UNION SELECT record.text FROM consolidated_posts WHERE "
            f"{where.replace('author', 'author.did')}"
        )
        if text
    ]


def own_pieces(day: SandboxDay, own: str) -> set[str]:
    """Stretches of texts that nobody else wrote, too: the sandbox makes its posts of phrases."""
    others = texts_of(day, f"NOT ({own})")
    shared = {piece for text in others for piece in pieces(text)}
    return {piece for text in texts_of(day, own) for piece in pieces(text)} - shared


@pytest.fixture
def day(sandbox_day: SandboxDay, tmp_path: Path) -> SandboxDay:
    return sandbox_day.copied(tmp_path / "data")


def somebody(day: SandboxDay) -> str:
    """An account of which there is something in the report, the databases and the ledger."""
    labelled = [did for (did,) in day.rows(
        "SELECT author.did FROM filtered_posts SEMI JOIN llm_labels USING (uri) GROUP BY ALL "
        "HAVING max(length(record.text)) > 60 ORDER BY 1"
    )]  # fmt: skip
    in_reports = {did for held in holding(day.data / "reports", labelled).values() for did in held}
    in_runs = {did for held in holding(day.data / "dagster", labelled).values() for did in held}
    return sorted(in_runs & in_reports or in_runs or labelled)[0]


def code_everything(day: SandboxDay, gold: Path) -> None:
    """Make a sample and a room of all labelled posts."""
    drawn = day.command("labels", "export", "--sample", "100000", str(gold))
    assert drawn.returncode == 0, drawn.stderr
    rows = pd.read_csv(gold, dtype=str).fillna("")
    rows.assign(is_sociopolitical="false", political_ideology="none").to_csv(gold, index=False)
    taken = day.command("labels", "import", str(gold), "--coder", "ada")
    assert taken.returncode == 0, taken.stderr


@pytest.mark.timeout(900)
def test_no_byte_tells_of_an_account_that_is_forgotten(
    day: SandboxDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    did = somebody(day)
    handles = [handle for (handle,) in day.rows(
        f"SELECT DISTINCT author.handle FROM consolidated_posts WHERE author.did = '{did}' "
        "AND author.handle IS NOT NULL"
    )]  # fmt: skip
    words = own_pieces(day, f"author = '{did}'")
    made = day.command("export", "--level", "public", str(tmp_path / "out"))
    assert made.returncode == 0, made.stderr
    (day.data / "archive").mkdir()
    (day.data / "archive" / "a_segment.parquet").write_bytes(did.encode())
    copytree(day.data / "segments" / "firehose", day.data / "segments" / "archive")
    written = day.data / "optimise" / "toxic" / "written.jsonl"
    written.parent.mkdir(parents=True)
    written.write_text(json.dumps({"asked": "0", "written": f"Say yes to what {did} says."}))
    code_everything(day, tmp_path / "gold.csv")
    before = holding(day.data, [did])
    places = ("lake/filtered_posts", "lake/llm_labels", "segments/firehose", "segments/archive")
    for place in (*places, "dagster", "coding", "ledger/samples", "optimise"):
        assert any(name.startswith(place) for name in before), place
    assert any(name.startswith("ledger") for name in holding_pieces(day.data, words))
    others = day.rows(f"SELECT count(*) FROM filtered_posts WHERE author.did <> '{did}'")

    done = day.command("forget", did)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'out'} (public" in done.stdout
    assert holding(day.data, [did, *handles]) == {}
    assert holding_pieces(day.data, words) == {}
    assert day.rows("SELECT count(*) FROM filtered_posts") == others
    ((labelled,),) = day.rows("SELECT count(DISTINCT uri) FROM llm_labels")
    (design,) = (day.data / "ledger" / "samples").glob("*.json")
    posts = json.loads(design.read_text())["posts"]
    assert len(posts) > labelled, "each post that was drawn is counted still"
    monkeypatch.setenv("BSKY_DATA_DIR", str(day.data))
    get_settings.cache_clear()
    with open_instance(get_settings()) as instance:
        assert instance.get_latest_materialization_event(AssetKey("filtered_posts"))


@pytest.mark.timeout(900)
def test_no_object_of_a_bucket_tells_of_an_account_that_is_forgotten(
    day: SandboxDay, tmp_path: Path
) -> None:
    """Neither what is current nor what it replaced; the lake is there, the rest is here."""
    did, before, after = somebody(day), tmp_path / "before", tmp_path / "after"
    words = own_pieces(day, f"author = '{did}'")
    move(day.data / "lake", before)
    with lake_in_bucket(before) as variables:
        there = fs.S3FileSystem(
            endpoint_override=variables["BSKY_LAKE_ENDPOINT_URL"], region="us-east-1"
        )
        done = day.command("forget", did, **variables)
        assert done.returncode == 0, done.stderr
        after.mkdir()
        fs.copy_files("lake/days", str(after), there, fs.LocalFileSystem())
    assert holding(before, [did])
    assert holding_pieces(before, words)
    assert list(after.rglob("filtered_posts/**/*.parquet")), "nothing is left of the lake"
    for place in (after, day.data):
        assert holding(place, [did]) == {}
        assert holding_pieces(place, words) == {}


@pytest.mark.timeout(900)
def test_what_comes_in_again_is_not_taken_up(day: SandboxDay) -> None:
    ((did,),) = day.rows(
        "SELECT author.did FROM raw_feed_posts GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1"
    )
    assert day.command("forget", did).returncode == 0
    read = day.command("sync", "feeds")
    assert read.returncode == 0, read.stderr
    assert holding(day.data, [did])
    made = day.command("materialize", "--day", "today", "--select", "consolidated_posts")
    assert made.returncode == 0, made.stderr
    assert day.rows(f"SELECT uri FROM consolidated_posts WHERE author.did = '{did}'") == []
    assert day.command("maintain", "--now").returncode == 0
    assert holding(day.data, [did]) == {}


@pytest.mark.timeout(900)
def test_one_post_goes_and_the_others_of_its_author_stay(day: SandboxDay) -> None:
    ((did, uri),) = day.rows(
        "SELECT author.did, max(uri) FROM filtered_posts SEMI JOIN llm_labels USING (uri) "
        "GROUP BY author.did HAVING count(*) > 2 ORDER BY ALL LIMIT 1"
    )
    stored = day.rows(f"SELECT count(*) - 1 FROM filtered_posts WHERE author.did = '{did}'")
    words = own_pieces(day, f"uri = '{uri}'")
    assert day.command("forget", uri).returncode == 0
    assert holding(day.data, [uri]) == {}
    assert holding_pieces(day.data, words) == {}
    assert day.rows(f"SELECT count(*) FROM filtered_posts WHERE author.did = '{did}'") == stored


def test_a_stretch_is_found_wherever_it_stands(tmp_path: Path) -> None:
    words = "Nobody else wrote this."
    for before, after in product(range(25), (0, 1, 9, 10, 30)):
        for said, held in ((words, pieces(words)), (words[:19], set()), (words.upper(), set())):
            (tmp_path / "file").write_text("x" * before + said + "y" * after)
            assert holding_pieces(tmp_path, [words]).get("file", set()) == held, (before, after)


def test_what_is_neither_account_nor_post_is_bad_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("ann.test", "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "at://ann.test/x.y.z/1"):
        status, _, _ = run(monkeypatch, capsys, "forget", wrong)
        assert status == 2
