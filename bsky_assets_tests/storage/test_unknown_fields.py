"""Fields that no contract knows are kept, counted by path, and told of once."""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.bluesky.records import read_post_record
from bsky_assets.checks import new_fields as check
from bsky_assets.contracts import RawFeedPost, RawFirehosePost
from bsky_assets.settings import get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.unknown_fields import EMBED_KIND, new_fields, unknown_fields
from bsky_assets_tests.bluesky import scripted_relay
from bsky_assets_tests.bluesky.scripted_relay import ScriptedRelay
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.sandbox_day import SandboxDay
from testbed import wire
from testbed.rows import feed_post, firehose_post, table

DAY = date(2026, 3, 8)
BEFORE = DAY - timedelta(days=3)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def read(**fields: Any) -> dict[str, Any]:
    """A record with further fields, as it is read when it arrives."""
    known = {"$type": "app.bsky.feed.post", "text": "hi", "createdAt": "2026-03-08T18:00:00Z"}
    return read_post_record({**known, **fields})


def store(lake: Lake, day: date, *records: dict[str, Any]) -> None:
    posts = [firehose_post("did:plc:a", f"{n}", n, record=each) for n, each in enumerate(records)]
    lake.write(RawFirehosePost, day, table(RawFirehosePost, posts))


def found(con: duckdb.DuckDBPyConnection, lake: Lake, day: date = DAY) -> dict[str, int]:
    return {field.path: field.rows for field in unknown_fields(con, lake, RawFirehosePost, [day])}


def test_fields_and_embeds_that_no_one_has_seen_are_stored_and_counted(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    poll = {"$type": "app.bsky.embed.poll", "choices": [{"text": "a"}, {"text": "b"}]}
    store(lake, DAY, read(), read(mood="blue"), read(mood={"colour": 1}, embed=poll), read(mood=1))
    assert found(con, lake) == {
        "mood": 3,
        "mood.colour": 1,
        "embed": 1,
        'embed."$type"': 1,
        "embed.choices": 1,
        "embed.choices[]": 1,
        "embed.choices[].text": 1,
        f"{EMBED_KIND}app.bsky.embed.poll": 1,
    }
    posts = lake.relation(con, RawFirehosePost, [DAY]).filter("seq = 2").select("record")
    ((kept,),) = posts.fetchall()
    assert kept["embed"]["kind"] == "app.bsky.embed.poll"
    assert json.loads(kept["unknown_fields"])["embed"] == poll


def test_only_what_did_not_come_up_before_is_new_and_its_parts_are_not_told_apart(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    store(lake, BEFORE, read(mood="blue"))
    store(lake, DAY, read(mood="red"), read(mood={"colour": 1}), read(place={"city": {"name": 1}}))
    present = unknown_fields(con, lake, RawFirehosePost, [DAY])
    new = new_fields(con, lake, RawFirehosePost, DAY, present)
    assert [(field.path, field.example[-1]) for field in new] == [
        ("mood.colour", "1"),
        ("place", "2"),
    ]


def outcome(con: duckdb.DuckDBPyConnection, lake: Lake) -> tuple[bool, str]:
    result = check.evaluate(con, lake, RawFirehosePost, DAY)
    return result.passed, result.description or ""


def test_the_check_names_what_is_new_with_an_example_and_is_content_the_day_after(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    store(lake, DAY, read())
    assert outcome(con, lake) == (True, "")
    store(lake, DAY, read(), read(mood="blue"))
    assert outcome(con, lake) == (
        False,
        "mood is new, in 1 rows, e.g. at://did:plc:a/app.bsky.feed.post/1",
    )
    store(lake, BEFORE, read(mood="green"))
    assert outcome(con, lake) == (True, "")
    result = check.evaluate(con, lake, RawFirehosePost, DAY, unknown_events=3)
    assert result.description == "3 events of an unknown kind are in quarantine"


def test_feed_posts_are_checked_alike(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    rows = [feed_post("did:plc:a", "1", record=read(mood="blue"))]
    lake.write(RawFeedPost, DAY, table(RawFeedPost, rows))
    assert not check.evaluate(con, lake, RawFeedPost, DAY).passed


def test_a_hostile_name_is_but_text(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    name = "'; DROP TABLE x; --<script>\x1b[31m[a](http://b)`\n| *x* \N{RIGHT-TO-LEFT OVERRIDE}"
    store(lake, DAY, read(**{name: 1}))
    passed, said = outcome(con, lake)
    assert not passed
    assert not set("<>\x1b`\n|*()'\\;\N{RIGHT-TO-LEFT OVERRIDE}") & set(said)


names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(extra=st.dictionaries(names.map(lambda name: f"x{name}"), values, min_size=1, max_size=3))
def test_whatever_fields_there_are_each_is_counted(
    tmp_path_factory: pytest.TempPathFactory, extra: dict[str, Any]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    store(lake, DAY, read(**extra), read())
    with duckdb.connect() as con:
        counted = found(con, lake)
        present = unknown_fields(con, lake, RawFirehosePost, [DAY])
        new = new_fields(con, lake, RawFirehosePost, DAY, present)
    assert len(counted) >= len(extra)
    assert len(new) == len(extra)
    assert set(counted.values()) == {1}


ENGLISH = "The city council voted last night to delay the new housing plan again."
HOLOGRAM = {"$type": "com.example.embed.hologram", "depth": [{"metres": 2}]}
MOOD = {"colour": "blue"}


def frames() -> list[bytes]:
    """A post as there was none before, a plain one, and an event of an unknown kind."""
    odd = wire.post(ENGLISH, langs=["en"], mood=MOOD, embed=HOLOGRAM)
    plain = wire.post(f"{ENGLISH} Residents were not pleased.", langs=["en"])
    return [
        wire.Commit(1, [wire.Op(f"{wire.POST}/3odd", odd)]).frame(),
        wire.message("#hologram", {"seq": 2, "time": wire.TIME}),
        wire.Commit(3, [wire.Op(f"{wire.POST}/3plain", plain)]).frame(),
    ]


@pytest.mark.scenario
def test_what_no_one_has_seen_goes_over_the_wire_and_through_the_day(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sandbox_day: SandboxDay
) -> None:
    with scripted_relay.serve(ScriptedRelay([frames()])) as relay:
        variables = sandbox_day.sandbox.environment() | {
            "BSKY_RELAY_URL": relay.url,
            "BSKY_SYNC_MAX_EVENTS": "3",
        }
        status, _, error = run(monkeypatch, capsys, "materialize", **variables)
    assert status == 0, error
    settings = get_settings()
    with duckdb.connect(str(settings.catalogue_path), read_only=True) as con:
        ((uri, kind, kept),) = con.sql(
            "SELECT uri, record.embed.kind, record.unknown_fields FROM raw_firehose_posts "
            "WHERE uri LIKE '%/3odd'"
        ).fetchall()
        reasons = con.sql("SELECT source, reason FROM quarantine").fetchall()
        labelled = con.sql("SELECT uri FROM llm_labels WHERE was_successfully_labeled").fetchall()
    assert kind == HOLOGRAM["$type"]
    assert json.loads(kept) == {"mood": MOOD, "embed": HOLOGRAM}
    assert reasons == [("raw_firehose_posts", "unknown_event")]
    assert (uri,) in labelled, "the day went on"
    (page,) = settings.reports_dir.glob("????-??-??.html")
    assert f'title="{uri}"' in page.read_text()
    told = " ".join(re.sub(r"<[^>]+>", " ", page.read_text()).split())
    for path in ("mood", "embed", f"{EMBED_KIND}com.example.embed.hologram"):
        assert f"{path} (new) raw_firehose_posts 1 at://…/3odd" in told
