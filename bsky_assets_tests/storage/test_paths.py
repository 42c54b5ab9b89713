"""A path is where something is: never a pattern, and nothing in it is ever a value."""

import re
from datetime import date
from pathlib import Path

import duckdb
import pytest

import bsky_assets
from bsky_assets.contracts import LlmPrompt, RawFirehosePost, RawModerationLabel
from bsky_assets.labelling.asking.prompt import load_prompt
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.orchestration.publish import publish
from bsky_assets.settings import InvalidSettings, Settings, get_settings
from bsky_assets.storage import quarantine
from bsky_assets.storage.connection import connect
from bsky_assets.storage.lake import Lake
from testbed.rows import NOON, firehose_post, post_uri, table

FIRST, SECOND = date(2026, 3, 8), date(2026, 3, 9)
FOLDERS = (
    "a?b",
    "a*b",
    "[ab]",
    "a[b",
    "it's",
    'a"b',
    "a b",
    "a\nb",
    "{a,b}",
    "val=other",
    "author=did:plc:other",
    "sync_day=2020-01-01",
    "sync_day=2020-01-01/received_at=never",
    "filename",
)
POST = post_uri("did:plc:a", "3a")
LABEL = {
    "src": "did:plc:labeler",
    "uri": POST,
    "val": "spam",
    "neg": False,
    "cts": NOON,
    "origin": "labeler.test",
    "received_at": NOON,
}
ODD = {
    "source": RawFirehosePost.asset,
    "origin": "relay.test",
    "position": "1",
    "reason": "undecodable",
    "detail": "",
    "content": b"?",
    "received_at": NOON,
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_data_directory_may_have_any_name(tmp_path: Path, folder: str) -> None:
    (tmp_path / "axb").mkdir()  # what a pattern would match as well
    settings = Settings(_env_file=None, data_dir=tmp_path / folder / "data")
    lake = Lake.of(settings)
    ledger = ledger_of(settings)
    with connect(settings) as con:
        for day in (FIRST, SECOND):
            lake.write(
                RawFirehosePost, day, table(RawFirehosePost, [firehose_post("did:plc:a", "3a")])
            )
            quarantine.add(con, lake, RawFirehosePost.asset, day, [ODD])
            lake.write_query(
                con, RawModerationLabel, day, f"SELECT * FROM ({_labels(con)})", {"day": str(day)}
            )
        ledger.record_prompt(load_prompt(), SECOND)
        assert lake.relation(con, RawFirehosePost, [FIRST, SECOND]).fetchall() != []
        assert ledger.relation(con).fetchall() == []
    publish(settings)
    with duckdb.connect(str(settings.catalogue_path), read_only=True) as con:
        posts = con.sql("SELECT sync_day, uri, author, received_at FROM raw_firehose_posts")
        assert sorted(posts.fetchall()) == [
            (day, POST, "did:plc:a", NOON) for day in (FIRST, SECOND)
        ]
        labels = con.sql("SELECT sync_day, val, src FROM raw_moderation_labels ORDER BY ALL")
        assert labels.fetchall() == [(day, "spam", "did:plc:labeler") for day in (FIRST, SECOND)]
        odd = con.sql("SELECT sync_day, origin FROM quarantine ORDER BY ALL").fetchall()
        assert odd == [(day, "relay.test") for day in (FIRST, SECOND)]
        assert con.sql(f"SELECT sync_day FROM {LlmPrompt.asset}").fetchall() == [(SECOND,)]
        one_day = f"FROM raw_firehose_posts WHERE sync_day = '{SECOND}'"
        assert con.sql(f"SELECT sync_day {one_day}").fetchall() == [(SECOND,)]
        (plan,) = (text for _, text in con.sql(f"EXPLAIN ANALYZE SELECT uri {one_day}").fetchall())
        assert "1/2" in plan  # the file of the other day is not opened


def test_a_data_directory_whose_name_duckdb_cannot_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "a\\b"))
    get_settings.cache_clear()
    with pytest.raises(InvalidSettings, match=r"BSKY_DATA_DIR: .* has a backslash in it"):
        get_settings()


def _labels(con: duckdb.DuckDBPyConnection) -> str:
    con.register("given", table(RawModerationLabel, [LABEL]))
    return "SELECT * FROM given"


def test_what_a_killed_rebuild_left_is_cleared_away_at_the_next(settings: Settings) -> None:
    publish(settings)
    leftovers = [
        settings.catalogue_path.with_name(f".{settings.catalogue_path.name}.{end}")
        for end in ("0123456789abcdef", "0123456789abcdef.wal")
    ]
    for leftover in leftovers:
        leftover.write_bytes(b"half of it")
    publish(settings)
    assert not any(leftover.exists() for leftover in leftovers)


def test_one_module_alone_writes_what_reads_parquet_in_sql() -> None:
    sources = Path(bsky_assets.__file__).parent.rglob("*.py")
    found = {
        path.name
        for path in sources
        if re.search(r"(read_parquet|parquet_scan)\(['\"\[{]*'|\bhive_", path.read_text())
    }
    assert found == {"sql.py"}
