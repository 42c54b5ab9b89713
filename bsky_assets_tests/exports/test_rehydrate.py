"""What an AppView still shows of a dehydrated export is fetched; each loss has its reason."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bsky_assets.bluesky.xrpc import Unanswered, XrpcHost
from bsky_assets.exports import rehydrate as module
from bsky_assets.exports.rehydrate import AlreadyRehydrated, NotDehydrated, rehydrate
from bsky_assets.settings import Settings
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.serving import account, post, served
from bsky_sandbox.appview import AppView

PEOPLE = [account(number) for number in range(1, 5)]
THERE = [post(100 + number, PEOPLE[number % 4]) for number in range(60)]
DELETED = [post(200 + number, PEOPLE[0], is_deleted=True) for number in range(3)]
NOBODY = "at://did:plc:nobodynobodynobodynobody/app.bsky.feed.post/3kaaaaaaaaa2a"
ODD = post(300, PEOPLE[1], cid="")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def appview() -> Iterator[str]:
    shown = AppView([*THERE, *DELETED, ODD], PEOPLE, [], {})
    with served(shown.app()) as url:
        yield url


@pytest.fixture
def chosen(appview: str, tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", appview_url=appview)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [{"uri": one.uri, "cid": one.cid} for one in (*THERE, *DELETED)]
    rows[7]["cid"] = "bafyasitwas"
    rows += [rows[0], {"uri": NOBODY, "cid": "x"}, {"uri": "no address", "cid": None}]
    rows += [{"uri": ODD.uri, "cid": "x"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "posts.parquet")
    return tmp_path / "posts.parquet"


EXPECTED = {
    "fetched": 59,
    "deleted": 3,
    "account_gone": 1,
    "edited": 1,
    "no_address": 1,
    "unreadable": 1,
}


def test_each_post_is_there_as_it_is_now_or_has_the_reason_why_not(
    con: duckdb.DuckDBPyConnection, chosen: Settings, source: Path, tmp_path: Path
) -> None:
    made = rehydrate(con, chosen, source, tmp_path / "out.parquet")
    rows = pq.read_table(made.path).to_pylist()
    assert made.outcomes == EXPECTED == Counter(row["outcome"] for row in rows)
    by_uri = {row["uri"]: row for row in rows}
    for one in THERE:
        row = by_uri[one.uri]
        assert row["record"]["text"] == one.record["text"]
        assert row["cid"] == one.cid
        assert row["author"]["handle"] == one.handle
    assert by_uri[THERE[7].uri]["outcome"] == "edited"
    assert by_uri[THERE[7].uri]["asked_cid"] == "bafyasitwas"
    assert by_uri[NOBODY]["outcome"] == "account_gone"
    for one in DELETED:
        assert by_uri[one.uri]["outcome"] == "deleted"
        assert by_uri[one.uri]["record"] is None


def test_csv_is_read_as_parquet_is(
    con: duckdb.DuckDBPyConnection, chosen: Settings, source: Path, tmp_path: Path
) -> None:
    con.execute(f"COPY (FROM '{source}') TO '{tmp_path}/posts.csv' (HEADER)")
    made = rehydrate(con, chosen, tmp_path / "posts.csv", tmp_path / "out.parquet")
    assert made.outcomes == EXPECTED


def test_25_are_asked_for_at_a_time_and_nothing_twice_after_an_interruption(
    con: duckdb.DuckDBPyConnection,
    chosen: Settings,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []
    query = XrpcHost.query

    def counted(host: XrpcHost, method: str, params: Any, *, holding: str) -> Any:
        if method == module.METHOD:
            asked.append(params["uris"])
            if len(asked) == 3:
                raise Unanswered("the host went away")
        return query(host, method, params, holding=holding)

    monkeypatch.setattr(XrpcHost, "query", counted)
    monkeypatch.setattr(module, "REQUESTS_A_PART", 1)
    with pytest.raises(Unanswered):
        rehydrate(con, chosen, source, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    assert [len(uris) for uris in asked] == [25, 25, 15]
    made = rehydrate(con, chosen, source, tmp_path / "out.parquet")
    assert made.outcomes == EXPECTED
    assert asked[3:] == [asked[2]]
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".parts")]


def test_a_result_that_is_there_is_left_alone(
    con: duckdb.DuckDBPyConnection, chosen: Settings, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.parquet").write_text("mine")
    with pytest.raises(AlreadyRehydrated, match="is there already"):
        rehydrate(con, chosen, source, tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_text() == "mine"


@pytest.mark.parametrize("name", ["missing.parquet", "other.parquet", "text.csv"])
def test_a_file_without_addresses_is_told(
    con: duckdb.DuckDBPyConnection, chosen: Settings, tmp_path: Path, name: str
) -> None:
    pq.write_table(pa.table({"cid": ["x"]}), tmp_path / "other.parquet")
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    with pytest.raises(NotDehydrated, match=f"{name}: .*a column `uri`"):
        rehydrate(con, chosen, tmp_path / name, tmp_path / "out.parquet")


def test_the_command_says_what_is_lost(
    source: Path, appview: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told, _ = run(monkeypatch, capsys, "rehydrate", str(source), BSKY_APPVIEW_URL=appview)
    assert status == 0
    assert "rehydrated_posts.parquet: 66 posts" in " ".join(told.split())
    assert "account_gone: 1" in told
