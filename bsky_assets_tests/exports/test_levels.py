"""A public export tells of no person; one that is dehydrated has addresses and labels alone."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import duckdb
import pyarrow.parquet as pq
import pytest

from bsky_assets.contracts import FilteredPost, LlmLabel, RawFirehosePost, RawPostDeletion
from bsky_assets.contracts.published import DehydratedPost, PublicLabel, PublicPost
from bsky_assets.exports.export import Format, export
from bsky_assets.exports.levels import Level
from bsky_assets.exports.pseudonyms import KEY, UnusableKey, pseudonym, pseudonym_key
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.byte_search import holding, holding_pieces
from bsky_assets_tests.support.codebooks import TARGET, TOPIC
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import Lab
from bsky_assets_tests.support.sandbox_day import SandboxDay
from testbed.rows import NOON, filtered_post, post_deletion, table

DAY = NOON.date()
ANY_DID = re.compile(rb"did:[a-z]+:[A-Za-z0-9._:%-]+")
FLOOR = "60"

WORDS = "Nobody shall ever read these words of mine again"
ANN, BOB, EVE = (f"did:plc:{name * 8}" for name in ("ann", "bob", "eve"))
HOSTILE = filtered_post(
    1,
    WORDS,
    uri=f"at://{ANN}/app.bsky.feed.post/3kann",
    cid="bafyreihostilehostile",
    author={
        "did": ANN,
        "handle": "ann.hostile.test",
        "display_name": "Ann Who Is Hostile",
        "avatar": f"https://cdn.test/{ANN}/picture",
        "verification": {"verifications": [{"issuer": EVE, "uri": f"at://{EVE}/x/1"}]},
    },
    indexed_at=datetime(2026, 3, 8, 18, 47, 11, 123456, tzinfo=UTC),
    metadata={
        "synctimestamp": "2026-03-08-18:00:00",
        "url": "https://bsky.app/profile/ann.hostile.test/post/3kann",
        "source": "most_liked",
        "source_feeds": ["today"],
        "processed_timestamp": NOON,
    },
    record={
        "created_at": "2026-03-08T17:59:00.000Z",
        "text": WORDS,
        "langs": ["en", ANN, "ann.hostile.test", "pt-BR", WORDS],
        "labels": [BOB],
        "tags": [f"{WORDS} as a tag"],
        "embed": {
            "kind": f"app.bsky.embed.{WORDS}",
            "link_uri": "https://ann.hostile.test/about",
            "link_title": WORDS,
            "alt_texts": [WORDS],
            "quoted_uri": f"at://{BOB}/app.bsky.feed.post/3kbob",
        },
        "facets": [
            {"byte_start": 0, "byte_end": 1, "kind": "app.bsky.richtext.facet#mention",
             "value": EVE},
            {"byte_start": 0, "byte_end": 1, "kind": "app.bsky.richtext.facet#link",
             "value": "https://ann.hostile.test"},
        ],
        "entities": [{"start": 0, "end": 1, "kind": "mention", "value": BOB}],
        "reply_parent": f"at://{EVE}/app.bsky.feed.post/3keve",
        "reply_root": f"at://{BOB}/app.bsky.feed.post/3kroot",
        "unknown_fields": f'{{"more": "{WORDS}", "by": "{BOB}"}}',
        "py_type": "app.bsky.feed.post",
    },
    metrics={"like_count": 1234, "reply_count": 7},
    applied_labels=[{"src": BOB, "uri": ANN, "val": "spam", "neg": False}],
    earlier_versions=[{"cid": "bafyearlier", "text": f"{WORDS}, as it was before"}],
    filter_reason=f"rule:scam {WORDS}",
)  # fmt: skip
LABEL = {
    "uri": HOSTILE["uri"],
    "is_label_of_record": True,
    "is_sociopolitical": True,
    "political_ideology": "left",
    "reason": f"It says: {WORDS}",
    "was_successfully_labeled": True,
    "error": f"odd answer {WORDS}",
    "label_timestamp": NOON,
    "text_hash": hashlib.sha256(WORDS.encode()).hexdigest(),
    "question_hash": "c0ffee",
    "context": ["reply_to"],
    "model": "a-model",
    "prompt_version": "abc",
    "schema_version": "def",
    "parameters": "{}",
    "attempts": 1,
    "batch_size": 1,
}
DETAILS = {
    "completeness": {
        "missing_events": 4,
        "jumps": [
            {
                "did": EVE,
                "at": "2026-03-08T02:00:00Z",
                "rev": "3kjump",
                "had": "3kjump",
                "shown_by": "sync",
            }
        ],
        "gaps": [{"host": "relay.test", "missing": 4, "reason": f"{WORDS} {BOB}"}],
        "ended": f"by at://{BOB}/app.bsky.feed.post/3k",
    },
    ANN: 1,
}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Kolkata'")
        yield connection


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data")


@pytest.fixture
def lake(chosen: Settings) -> Lake:
    made = Lake(chosen.lake_dir)
    made.write(RawFirehosePost, DAY, table(RawFirehosePost, []), DETAILS)
    made.write(FilteredPost, DAY, table(FilteredPost, [HOSTILE]), DETAILS)
    made.write(LlmLabel, DAY, table(LlmLabel, [LABEL]), DETAILS)
    return made


@pytest.mark.parametrize("kind", get_args(Format))
def test_a_post_that_puts_people_everywhere_tells_of_none_in_public(
    con: duckdb.DuckDBPyConnection, lake: Lake, chosen: Settings, tmp_path: Path, kind: Format
) -> None:
    secret = [
        *(ANN, BOB, EVE, HOSTILE["cid"], "ann.hostile", "Ann Who", "3kann", "3kbob", "3kjump"),
        *("18:47:11", "17:59:00", LABEL["text_hash"]),
        pseudonym_key(chosen.data_dir).hex(),
    ]
    export(con, lake, chosen, [DAY], tmp_path / "out", kind, level="public")
    assert holding(tmp_path / "out", secret) == {}
    assert holding_pieces(tmp_path / "out", [WORDS]) == {}
    export(con, lake, chosen, [DAY], tmp_path / "all", kind)
    assert {held for each in holding(tmp_path / "all", secret).values() for held in each} >= {
        *(ANN, BOB, EVE, "ann.hostile", "17:59:00", "3kjump")
    }
    assert holding_pieces(tmp_path / "all", [WORDS])


def test_a_public_post_says_what_can_be_counted(
    con: duckdb.DuckDBPyConnection, lake: Lake, chosen: Settings, tmp_path: Path
) -> None:
    export(con, lake, chosen, [DAY], tmp_path / "out", level="public")
    key = (chosen.data_dir / KEY).read_bytes()

    def alias(subject: str) -> str:
        return hmac.new(key, subject.encode(), hashlib.sha256).hexdigest()

    (post,) = pq.read_table(tmp_path / "out" / "public_posts.parquet").to_pylist()
    (label,) = pq.read_table(tmp_path / "out" / "public_labels.parquet").to_pylist()
    assert post == {
        **dict.fromkeys(PublicPost.model_fields),
        "sync_day": DAY,
        "post": alias(HOSTILE["uri"]),
        "author": alias(ANN),
        "hour": datetime(2026, 3, 8, 18, tzinfo=UTC),
        "source_feeds": ["today"],
        "langs": ["en", "pt-BR"],
        "embed": "other",
        "reply_parent": alias(HOSTILE["record"]["reply_parent"]),
        "reply_parent_author": alias(EVE),
        "reply_root": alias(HOSTILE["record"]["reply_root"]),
        "quoted": alias(HOSTILE["record"]["embed"]["quoted_uri"]),
        "quoted_author": alias(BOB),
        "mentions": [alias(EVE)],
        "likes": 1200,
        "replies": 7,
        "passed_filters": True,
        "filter_version": "1",
    }
    given = set(PublicLabel.model_fields) & set(LABEL)
    assert len(given) == 8
    assert label == {
        **dict.fromkeys(PublicLabel.model_fields),
        "sync_day": DAY,
        "post": post["post"],
        **{name: LABEL[name] for name in given},
    }


def test_a_dehydrated_post_is_its_address_and_its_labels(
    con: duckdb.DuckDBPyConnection, lake: Lake, chosen: Settings, tmp_path: Path
) -> None:
    stopped = filtered_post(2, "no label", passed_filters=False, filtered_by_func="spam")
    lake.write(FilteredPost, DAY, table(FilteredPost, [HOSTILE, stopped]))
    made = export(con, lake, chosen, [DAY], tmp_path / "out", level="dehydrated")
    assert [file.row for file in made.files] == [DehydratedPost]
    rows = pq.read_table(tmp_path / "out" / "dehydrated_posts.parquet").to_pylist()
    by_uri = {row["uri"]: row for row in rows}
    assert len(rows) == 2
    assert by_uri[HOSTILE["uri"]]["cid"] == HOSTILE["cid"]
    assert by_uri[HOSTILE["uri"]]["political_ideology"] == "left"
    assert by_uri[stopped["uri"]]["model"] is None
    assert by_uri[stopped["uri"]]["filtered_by_func"] == "spam"
    assert holding_pieces(tmp_path / "out", [WORDS, "Ann Who Is Hostile"]) == {}
    assert holding(tmp_path / "out", ["ann.hostile", BOB, EVE]) == {}


def test_answers_to_codebooks_are_given_at_each_level_and_texts_of_a_model_at_none(
    con: duckdb.DuckDBPyConnection, chosen: Settings, tmp_path: Path
) -> None:
    lab = Lab(chosen.data_dir, "http://127.0.0.1:9/v1")
    topic, target = lab.codebook(TOPIC), lab.codebook(TARGET)
    lake = Lake.of(chosen)
    lake.write(FilteredPost, DAY, table(FilteredPost, [HOSTILE]))
    answer = {name: value for name, value in LABEL.items() if name in topic.model_fields}
    lake.write(topic, DAY, table(topic, [{**answer, "answer": "food"}]))
    lake.write(target, DAY, table(target, [{**answer, "answer": WORDS}]))
    given = {}
    for level in ("public", "dehydrated"):
        out = tmp_path / level
        export(con, lake, chosen, [DAY], out, "csv", level=level)
        assert holding_pieces(out, [WORDS]) == {}
        assert not (out / f"{level}_labels_target.csv").exists()
        (row,) = con.sql(f"FROM '{out}/{level}_labels_topic.csv'").to_arrow_table().to_pylist()
        assert (row.pop("answer"), row["model"]) == ("food", "a-model")
        assert "What is topic?" in (out / "DATA_DICTIONARY.md").read_text()
        given[level] = row
    assert given["dehydrated"]["uri"] == HOSTILE["uri"]
    assert given["public"]["post"] == pseudonym(pseudonym_key(chosen.data_dir), HOSTILE["uri"])
    assert holding(tmp_path / "public", [ANN, BOB, EVE]) == {}


@pytest.mark.parametrize("level", ["public", "dehydrated"])
def test_what_is_deleted_is_at_no_level_and_the_readme_counts_it(
    con: duckdb.DuckDBPyConnection, lake: Lake, chosen: Settings, tmp_path: Path, level: Level
) -> None:
    key = HOSTILE["uri"].rpartition("/")[2]
    raw = {
        "uri": HOSTILE["uri"], "cid": "c", "author": ANN, "record": HOSTILE["record"],
        "metadata": {"synctimestamp": "x", "source_feed": "firehose"}, "relay": "r", "seq": 1,
        "rev": "3k", "commit_time": NOON, "received_at": NOON,
    }  # fmt: skip
    lake.write(RawFirehosePost, DAY, table(RawFirehosePost, [raw]))
    gone = [post_deletion(ANN, key, 900)]
    lake.write(RawPostDeletion, DAY + timedelta(days=9), table(RawPostDeletion, gone))
    made = export(con, lake, chosen, [DAY], tmp_path / "out", level=level)
    assert {file.rows for file in made.files} == {0}
    told = (tmp_path / "out" / "README.md").read_text()
    for file in made.files:
        assert re.search(rf"\| {file.row.asset}.parquet \| deleted \| 1 \|", told.replace("\\", ""))


def test_pseudonyms_are_the_same_on_every_day_and_others_under_another_key(
    con: duckdb.DuckDBPyConnection, lake: Lake, chosen: Settings, tmp_path: Path
) -> None:
    later = DAY + timedelta(days=30)
    other = {**HOSTILE, "uri": f"at://{ANN}/app.bsky.feed.post/3klater"}
    lake.write(FilteredPost, later, table(FilteredPost, [other]))

    def author(day: Any, folder: str) -> str:
        export(con, lake, chosen, [day], tmp_path / folder, level="public")
        return author_of(tmp_path / folder)

    assert author(DAY, "one") == author(later, "two")
    key = chosen.data_dir / KEY
    assert key.stat().st_mode & 0o777 == 0o600
    key.write_bytes(b"another key, which has 32 bytes.")
    assert author(DAY, "three") == pseudonym(key.read_bytes(), ANN) != author_of(tmp_path / "one")
    key.write_bytes(b"short")
    with pytest.raises(UnusableKey, match="does not hold 32 bytes"):
        author(DAY, "seven")


def author_of(folder: Path) -> str:
    (name,) = pq.read_table(folder / "public_posts.parquet")["author"].to_pylist()
    return str(name)


@pytest.mark.parametrize("kind", get_args(Format))
def test_no_byte_of_a_public_export_of_a_day_tells_of_a_person(
    sandbox_day: SandboxDay, tmp_path: Path, kind: str
) -> None:
    day = sandbox_day.copied(tmp_path / "data")
    made = day.command("export", "--level", "public", "--format", kind, str(tmp_path / "out"))
    assert made.returncode == 0, made.stderr
    people = day.sandbox.world.accounts
    texts = [text for (text,) in day.rows("SELECT record.text FROM consolidated_posts")]
    rows = day.rows("SELECT uri, cid, record.created_at FROM consolidated_posts")
    addresses = [str(value) for row in rows for value in row]
    out = tmp_path / "out"
    assert len(texts) > 500
    assert holding(out, [value for one in people for value in (one.did, one.handle)]) == {}
    assert holding(out, addresses) == {}
    assert holding_pieces(out, texts) == {}
    for path in out.rglob("*"):
        assert path.is_dir() or not ANY_DID.search(path.read_bytes())


def test_accounts_are_named_from_the_floor_on(sandbox_day: SandboxDay, tmp_path: Path) -> None:
    day = sandbox_day.copied(tmp_path / "data")
    arguments = ("export", "--level", "public", "--format", "csv", str(tmp_path / "out"))
    made = day.command(*arguments, BSKY_EXPORT_FOLLOWER_FLOOR=FLOOR)
    assert made.returncode == 0, made.stderr
    shown = day.rows("SELECT DISTINCT author.did, author.handle FROM filtered_posts "
                     "WHERE author.handle IS NOT NULL")  # fmt: skip
    views = day.sandbox.servers.appview.views
    public = {
        handle
        for did, handle in shown
        if views.is_active(did)
        and views.detailed_profile(did, signed_in=False)["followersCount"] >= int(FLOOR)
    }
    assert 0 < len(public) < len(shown)
    posts = tmp_path / "out" / "public_posts.csv"
    with duckdb.connect() as con:
        named = con.sql(f"SELECT DISTINCT handle FROM '{posts}' WHERE handle IS NOT NULL")
        assert {handle for (handle,) in named.fetchall()} == public
    others = [handle for _, handle in shown if handle not in public]
    assert holding(tmp_path / "out", others) == {}
    told = (tmp_path / "out" / "README.md").read_text()
    assert f"so many followers that they may be named: {len(public)}." in told


def test_other_tables_have_no_public_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("--level", "public", "--assets", "quarantine", str(tmp_path / "out"))
    status, _, _ = run(monkeypatch, capsys, "export", *arguments)
    assert status == 2
    assert not (tmp_path / "out").exists()
