"""Every item of a feed is stored or quarantined with a reason, whatever a page holds."""

import copy
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import orjson
import pytest
import stamina
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bsky_assets.bluesky import xrpc
from bsky_assets.bluesky.feeds import sync_feeds
from bsky_assets.contracts import RawFeedPost
from bsky_assets.settings import Settings
from bsky_assets.storage.coverage import feed_problems
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.sql import read_parquet
from bsky_assets.sync_day import today
from bsky_assets_tests.bluesky.xrpc_host import Answer, Asked, Host, Respond, serve
from bsky_assets_tests.support import serving as sandbox
from bsky_assets_tests.support.places import REAL_DATA
from bsky_sandbox.appview import AppView, Feed
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.sessions import APP_PASSWORD

FEED = "at://did:plc:generator/app.bsky.feed.generator/catch-up"
OTHER = "at://did:plc:generator/app.bsky.feed.generator/other"

REAL_FEEDS = REAL_DATA / "feeds"


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def settings(host: Host, folder: Path, **changed: Any) -> Settings:
    return Settings(
        **{
            "_env_file": None,
            "data_dir": folder,
            "appview_url": host.url,
            "feeds": {"today": FEED},
            **changed,
        }
    )


def item(number: int, **changed: Any) -> dict[str, Any]:
    """A feed item as an AppView shows it; `changed` replaces fields of its post view."""
    did = f"did:plc:author{number % 7}"
    return {
        "post": {
            "uri": f"at://{did}/app.bsky.feed.post/3k{number:011d}",
            "cid": f"bafyreib{number}",
            "author": {
                "did": did,
                "handle": f"author{number % 7}.test",
                "displayName": "An author",
                "labels": [],
            },
            "record": {
                "$type": "app.bsky.feed.post",
                "createdAt": "2026-03-08T12:00:00.000Z",
                "text": f"post {number}",
                "langs": ["en"],
            },
            "replyCount": 1,
            "repostCount": 2,
            "likeCount": 3,
            "quoteCount": 4,
            "indexedAt": "2026-03-08T12:00:01.000Z",
            "labels": [],
            **changed,
        }
    }


def pages(*feed: list[Any]) -> Respond:
    """A feed of these pages, with the number of the next one as cursor."""

    def respond(asked: Asked) -> Answer:
        number = int(asked.one("cursor") or 0)
        body: dict[str, Any] = {"feed": feed[number]}
        if number + 1 < len(feed):
            body["cursor"] = str(number + 1)
        return Answer(body)

    return respond


def sync(
    con: duckdb.DuckDBPyConnection, folder: Path, host: Host, **changed: Any
) -> tuple[Partition, list[dict[str, Any]], list[dict[str, Any]]]:
    """Today's partition after a reading, its rows, and what was quarantined."""
    limits = {name: changed.pop(name) for name in ("max_posts", "progress") if name in changed}
    chosen = settings(host, folder, **changed)
    partition = sync_feeds(con, Lake(folder / "lake"), chosen, today(chosen.timezone), **limits)
    return partition, *stored(con, folder, chosen)


def stored(
    con: duckdb.DuckDBPyConnection, folder: Path, chosen: Settings
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    lake, day = Lake(folder / "lake"), today(chosen.timezone)
    quarantine = lake.quarantine(RawFeedPost.asset, day)
    rows = lake.relation(con, RawFeedPost, [day]).to_arrow_table().to_pylist()
    odd = (
        con.sql(f"FROM {read_parquet([quarantine.path])}").to_arrow_table().to_pylist()
        if quarantine
        else []
    )
    return rows, odd


def test_every_page_is_read_and_every_field_kept(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    label = {
        "src": "did:plc:labeler",
        "uri": item(0)["post"]["uri"],
        "val": "porn",
        "cts": "2026-03-08T12:00:00Z",
    }
    first = item(0, labels=[label])
    first["post"]["author"]["labels"] = [{**label, "uri": "did:plc:author0", "neg": True}]
    seen: list[tuple[str, int]] = []
    with serve(pages([first, item(1)], [item(2)])) as host:
        partition, rows, odd = sync(
            con, tmp_path, host, progress=lambda told: seen.append((told.what, told.done))
        )
    assert [asked.one("cursor") for asked in host.asked] == [None, "1"]
    assert {(asked.one("feed"), asked.one("limit")) for asked in host.asked} == {(FEED, "100")}
    assert odd == []
    assert seen == [("today", 2), ("today", 3)]
    assert [row["uri"] for row in rows] == [item(number)["post"]["uri"] for number in range(3)]
    row = rows[0]
    assert row["cid"] == "bafyreib0"
    assert row["author"] == {
        "did": "did:plc:author0",
        "handle": "author0.test",
        "display_name": "An author",
        "avatar": None,
        "created_at": None,
        "verification": None,
    }
    assert (row["reason"], row["bookmark_count"], row["unknown_fields"]) == (None, None, None)
    assert (row["record"]["text"], row["record"]["langs"]) == ("post 0", ["en"])
    assert row["metadata"]["source_feed"] == "today"
    assert row["metadata"]["url"] == "https://bsky.app/profile/author0.test/post/3k00000000000"
    assert row["metadata"]["synctimestamp"] == row["received_at"].strftime("%Y-%m-%d-%H:%M:%S")
    assert row["indexed_at"].isoformat() == "2026-03-08T12:00:01+00:00"
    counts = ("like_count", "reply_count", "repost_count", "quote_count")
    assert [row[name] for name in counts] == [3, 1, 2, 4]
    assert row["post_labels"][0]["val"] == "porn"
    assert row["post_labels"][0]["neg"] is False
    assert row["author_labels"][0]["neg"] is True
    details = partition.details["feeds"]["today"]
    assert (details["pages"], details["items"], details["ended"]) == (2, 3, "end")
    assert details["indexed_from"] == "2026-03-08T12:00:01+00:00"


def test_a_repeated_post_keeps_its_first_place_and_its_latest_counts(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with serve(pages([item(0, likeCount=1), item(1)], [item(0, likeCount=9)])) as host:
        partition, rows, _ = sync(con, tmp_path, host)
    assert [(row["position"], row["like_count"]) for row in rows] == [(0, 9), (1, 3)]
    assert partition.details["feeds"]["today"]["repeats"] == 1


def test_reading_again_adds_what_is_new_and_keeps_when_each_post_was_first_seen(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with serve(pages([item(0), item(1, likeCount=1), {"post": None}])) as host:
        _, first, odd = sync(con, tmp_path, host)
    with serve(pages([item(2), item(1, likeCount=50)])) as host:
        _, rows, still_odd = sync(con, tmp_path, host)
    by_uri = {row["uri"]: row for row in rows}
    assert set(by_uri) == {item(number)["post"]["uri"] for number in range(3)}
    again = by_uri[item(1)["post"]["uri"]]
    assert (again["like_count"], again["position"]) == (50, 1)
    assert again["received_at"] == first[1]["received_at"]
    assert again["metadata"] == first[1]["metadata"]
    assert still_odd == odd
    assert len(odd) == 1


def test_a_post_stands_once_for_each_feed_that_shows_it(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with serve(pages([item(0)])) as host:
        _, rows, _ = sync(con, tmp_path, host, feeds={"a": FEED, "b": OTHER})
    assert [row["metadata"]["source_feed"] for row in rows] == ["a", "b"]


def test_another_day_is_not_read_and_keeps_what_is_stored(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "lake")
    with serve(pages([item(0)])) as host:
        chosen = settings(host, tmp_path)
        yesterday: date = today(chosen.timezone) - timedelta(days=1)
        empty = sync_feeds(con, lake, chosen, yesterday)
        assert empty.rows == 0
        assert "not collected" in empty.details["note"]
        assert sync_feeds(con, lake, chosen, yesterday) == empty
        assert host.asked == []


def test_a_limit_ends_the_reading(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with serve(pages([item(0), item(1)], [item(2), item(3)], [item(4)])) as host:
        partition, rows, _ = sync(con, tmp_path, host, max_posts=3)
    assert len(rows) == 3
    assert len(host.asked) == 2
    assert partition.details["feeds"]["today"]["ended"] == "max_posts"


def looping(asked: Asked) -> Answer:
    return Answer({"feed": [item(0)], "cursor": "again"})


def endless(asked: Asked) -> Answer:
    return Answer({"feed": [item(0)], "cursor": int(asked.one("cursor") or 0) + 1})


@pytest.mark.parametrize(
    ("respond", "ended"), [(looping, "cursor_repeated"), (endless, "nothing_new")]
)
def test_a_feed_without_an_end_is_left(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, respond: Respond, ended: str
) -> None:
    with serve(respond) as host:
        partition, rows, _ = sync(con, tmp_path, host)
    assert len(rows) == 1
    assert partition.details["feeds"]["today"]["ended"] == ended


def without(*path: str) -> dict[str, Any]:
    odd = item(1)
    part = odd["post"]
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return odd


NOT_FOUND = {"$type": "app.bsky.feed.defs#notFoundPost", "uri": "at://x", "notFound": True}
BLOCKED = {"$type": "app.bsky.feed.defs#blockedPost", "uri": "at://x", "blocked": True}
BAD_LABEL = {"src": "did:plc:labeler", "val": 1}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (None, "not_an_object"),
        ({"post": [1]}, "not_an_object"),
        ({"post": NOT_FOUND}, "not_found_post"),
        ({"post": BLOCKED}, "blocked_post"),
        (BLOCKED, "blocked_post"),
        (without("uri"), "missing_field"),
        (without("record"), "missing_field"),
        (item(1, uri="record(0)"), "bad_field"),
        (item(1, uri="at://did:plc:a/app.bsky.feed.like/3k"), "bad_field"),
        (item(1, uri="at://did:plc:author1/app.bsky.feed.post/.."), "bad_field"),
        (item(1, uri="at://did:plc:author1/app.bsky.feed.post/a/b"), "bad_field"),
        (item(1, author={"did": "did:plc:somebody"}), "author_mismatch"),
        (item(1, record="text"), "bad_field"),
    ],
)
def test_an_odd_item_is_quarantined_with_its_bytes_and_costs_nothing_else(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, odd: Any, reason: str
) -> None:
    with serve(pages([item(0), odd, item(2)])) as host:
        _, rows, quarantined = sync(con, tmp_path, host)
    assert [row["position"] for row in rows] == [0, 2]
    (kept,) = quarantined
    assert kept["reason"] == reason
    assert (kept["source"], kept["origin"]) == ("raw_feed_posts", host.name)
    assert kept["position"] == "today/0/1"
    assert json.loads(kept["content"]) == odd


def shown(con: duckdb.DuckDBPyConnection, folder: Path, odd: Any) -> tuple[dict[str, Any], Any]:
    """The row of an item that is read, and what of it was kept beside its columns."""
    with serve(pages([odd])) as host:
        _, rows, quarantined = sync(con, folder, host)
    assert quarantined == []
    told = rows[0]["unknown_fields"]
    return rows[0], json.loads(told) if told else None


@pytest.mark.parametrize(
    ("changed", "column", "value"),
    [
        ({"likeCount": "3"}, "like_count", None),
        ({"likeCount": True}, "like_count", None),
        ({"likeCount": 2**80}, "like_count", None),
        ({"bookmarkCount": -1}, "bookmark_count", None),
        ({"indexedAt": "yesterday"}, "indexed_at", None),
        ({"indexedAt": "0001-01-01T00:00:00+14:00"}, "indexed_at", None),
        ({"labels": [BAD_LABEL]}, "post_labels", []),
        ({"labels": 5}, "post_labels", []),
        ({"mood": {"colour": "blue"}}, "like_count", 3),
    ],
)
def test_what_is_odd_in_a_view_costs_only_itself_and_is_kept(
    con: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    changed: dict[str, Any],
    column: str,
    value: Any,
) -> None:
    row, told = shown(con, tmp_path, item(1, **changed))
    assert row[column] == value
    assert (row["reply_count"], row["record"]["text"]) == (1, "post 1")
    kept = told["post"]
    as_text = {name: json.loads(one["$json"]) for name, one in kept.items() if "$json" in str(one)}
    assert kept | as_text == changed


def test_an_author_of_whom_little_can_be_read_is_the_one_in_the_address(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    view = {"handle": "no handle", "displayName": 5, "pronouns": "they", "labels": [BAD_LABEL]}
    row, told = shown(con, tmp_path, item(1, author=view))
    assert row["author"]["did"] == "did:plc:author1"
    assert (row["author"]["handle"], row["author"]["display_name"]) == (None, None)
    assert told == {"post": {"author": view}}
    for author in (5, None):
        row, _ = shown(con, tmp_path / str(author), item(1, author=author))
        assert row["author"]["did"] == "did:plc:author1"


def test_what_only_a_feed_tells_is_kept(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    at = "2026-03-08T12:00:00Z"
    vouched = {"issuer": "did:plc:v", "uri": "at://did:plc:v/a.b.c/3k", "isValid": True}
    odd = item(1, bookmarkCount=8)
    odd["post"]["author"] |= {
        "createdAt": "2023-05-01T00:00:00Z",
        "verification": {
            "verifiedStatus": "valid",
            "trustedVerifierStatus": "none",
            "verifications": [{**vouched, "createdAt": at}],
        },
    }
    odd["reason"] = {
        "$type": "app.bsky.feed.defs#reasonRepost",
        "by": {"did": "did:plc:reposter", "handle": "r.test"},
        "indexedAt": at,
        "uri": "at://did:plc:reposter/app.bsky.feed.repost/3k",
    }
    row, told = shown(con, tmp_path, odd)
    assert told is None
    assert row["bookmark_count"] == 8
    assert row["author"]["created_at"].year == 2023
    assert row["author"]["verification"]["verified_status"] == "valid"
    (verification,) = row["author"]["verification"]["verifications"]
    assert (verification["issuer"], verification["is_valid"]) == ("did:plc:v", True)
    reason = row["reason"]
    assert reason.pop("indexed_at").hour == 12
    assert reason == {
        "kind": "app.bsky.feed.defs#reasonRepost",
        "by": "did:plc:reposter",
        "uri": "at://did:plc:reposter/app.bsky.feed.repost/3k",
    }
    pinned = item(2) | {"reason": {"$type": "app.bsky.feed.defs#reasonPin"}}
    row, _ = shown(con, tmp_path / "pinned", pinned)
    assert row["reason"]["kind"] == "app.bsky.feed.defs#reasonPin"


@pytest.mark.parametrize("spoiled", [b"\\ud800", b"\xff\xfe"])
def test_text_that_is_not_unicode_costs_its_own_item_only(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, spoiled: bytes
) -> None:
    page = orjson.dumps({"feed": [item(0), item(1), item(2)]}).replace(b"post 1", spoiled)
    with serve(lambda _: Answer(page)) as host:
        _, rows, (kept,) = sync(con, tmp_path, host)
    assert [row["position"] for row in rows] == [0, 2]
    assert spoiled in kept["content"]


@pytest.mark.parametrize(
    ("handle", "author"),
    [("handle.invalid", "did:plc:author0"), ("a/../<b>", "did:plc:author0"), ("a.test", "a.test")],
)
def test_the_page_of_a_post_is_under_a_handle_only_where_that_is_good(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, handle: str, author: str
) -> None:
    with serve(pages([item(0, author={"did": "did:plc:author0", "handle": handle})])) as host:
        _, rows, _ = sync(con, tmp_path, host)
    assert rows[0]["author"]["handle"] == (None if "/" in handle else handle)
    assert rows[0]["metadata"]["url"] == f"https://bsky.app/profile/{author}/post/3k00000000000"


def test_an_unknown_embed_and_unknown_fields_are_no_reason_to_lose_a_post(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    odd = item(0)
    odd["post"]["record"]["embed"] = {"$type": "app.bsky.embed.hologram", "depth": [1, {"a": 2}]}
    odd["post"]["record"]["mood"] = "fine"
    odd["post"]["embed"] = {"$type": "app.bsky.embed.hologram#view"}
    with serve(pages([odd])) as host:
        _, rows, quarantined = sync(con, tmp_path, host)
    assert quarantined == []
    assert rows[0]["record"]["embed"]["kind"] == "app.bsky.embed.hologram"
    assert orjson.loads(rows[0]["record"]["unknown_fields"])["mood"] == "fine"


def failing(times: int, answer: Answer, then: Respond) -> Respond:
    left = [times]

    def respond(asked: Asked) -> Answer:
        if left[0]:
            left[0] -= 1
            return answer
        return then(asked)

    return respond


@pytest.mark.parametrize(
    "answer",
    [
        Answer({"error": "InternalServerError"}, 500),
        Answer(b"<html>bad gateway</html>", 502),
        Answer(b'{"feed": [', 200),
        Answer({"cursor": "no feed"}, 200),
        Answer({"error": "RateLimitExceeded"}, 429, {"retry-after": "30"}),
    ],
)
def test_what_passes_is_asked_again(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, answer: Answer
) -> None:
    with serve(failing(2, answer, pages([item(0)]))) as host:
        _, rows, _ = sync(con, tmp_path, host)
    assert len(rows) == 1
    assert len(host.asked) == 3


@pytest.mark.parametrize("header", ["retry-after", "ratelimit-reset"])
def test_a_rate_limit_is_waited_out(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xrpc, "time", SimpleNamespace(time=lambda: 1_000_000.0))
    value = "1.0" if header == "retry-after" else "1000001"
    limited = Answer({"error": "RateLimitExceeded"}, 429, {header: value})
    with stamina.set_testing(False), serve(failing(1, limited, pages([item(0)]))) as host:
        sync(con, tmp_path, host)
    first, second = (asked.at for asked in host.asked)
    assert second - first >= 0.9


def unknown(asked: Asked) -> Answer:
    return Answer({"error": "UnknownFeed", "message": "could not\nresolve"}, 400)


def closed(asked: Asked) -> Answer:
    return Answer({"error": "AuthMissing", "message": "Authentication Required"}, 401)


def broken(asked: Asked) -> Answer:
    return Answer({"error": "UpstreamFailure", "message": "feed unavailable"}, 502)


@pytest.mark.parametrize(
    ("respond", "said", "attempts"),
    [
        (unknown, "answers 400 UnknownFeed could not resolve; check BSKY_FEEDS", 1),
        (closed, "set BSKY_HANDLE and BSKY_APP_PASSWORD", 1),
        (broken, "UpstreamFailure feed unavailable (attempt 3); try again later", 3),
        (pages([]), "is empty", 1),
    ],
)
def test_a_feed_that_gives_nothing_is_named_and_the_others_are_stored(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, respond: Respond, said: str, attempts: int
) -> None:
    def mixed(asked: Asked) -> Answer:
        return respond(asked) if asked.one("feed") == OTHER else pages([item(0)])(asked)

    with serve(mixed) as host:
        chosen = settings(host, tmp_path, feeds={"bad": OTHER, "good": FEED})
        partition = sync_feeds(con, Lake(tmp_path / "lake"), chosen, today(chosen.timezone))
        rows, _ = stored(con, tmp_path, chosen)
    (message,) = feed_problems(partition)
    assert f"feed bad ({OTHER})" in message
    assert host.url in message
    assert said in message
    assert "\n" not in message
    assert [asked.one("feed") for asked in host.asked] == [OTHER] * attempts + [FEED]
    assert [row["metadata"]["source_feed"] for row in rows] == ["good"]


def test_what_is_stored_stays_when_the_host_is_gone(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with serve(pages([item(0)], [item(1)])) as host:
        sync(con, tmp_path, host)
    partition, *_ = sync(con, tmp_path, host)
    assert "check BSKY_APPVIEW_URL" in feed_problems(partition)[0]
    rows, _ = stored(con, tmp_path, settings(host, tmp_path))
    assert len(rows) == 2


def test_pages_before_a_failure_are_stored(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    def respond(asked: Asked) -> Answer:
        return broken(asked) if asked.one("cursor") else pages([item(0)], [])(asked)

    with serve(respond) as host:
        partition, *_ = sync(con, tmp_path, host)
        assert feed_problems(partition)
        rows, _ = stored(con, tmp_path, settings(host, tmp_path))
    assert len(rows) == 1


def test_a_session_is_shown_to_the_host(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    def respond(asked: Asked) -> Answer:
        if asked.method == "com.atproto.server.createSession":
            body = {"did": "did:plc:r", "handle": "r.test", "accessJwt": "a", "refreshJwt": "r"}
            return Answer(body)
        signed_in = asked.headers.get("Authorization") == "Bearer a"
        return pages([item(0)])(asked) if signed_in else closed(asked)

    with serve(respond) as host:
        partition, *_ = sync(con, tmp_path, host, handle="r.test")
        assert "BSKY_APP_PASSWORD is not set" in feed_problems(partition)[0]
        _, rows, _ = sync(con, tmp_path, host, handle="r.test", app_password="secret")
    assert len(rows) == 1


PRIVATE = "at://did:plc:generator/app.bsky.feed.generator/for-you"
FAULTS = HttpFaults(seed=3, p429=0.2, retry_after=0.05, p500=0.2, p_malformed=0.15, p_reset=0.1)


def test_the_sandbox_is_read_whole_through_everything_that_goes_wrong_there(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    somebody = sandbox.account(1)
    authors = [sandbox.account(number) for number in range(2, 9)]
    posts = [sandbox.post(number, authors[number % 7]) for number in range(260)]
    feeds = {FEED: Feed(posts[:250]), PRIVATE: Feed(posts[200:], needs_session=True)}
    view = AppView(posts, [somebody, *authors], [], feeds, faults=FAULTS)
    with stamina.set_testing(False), sandbox.served(view.app()) as url:
        chosen = settings(
            Host(url, []),
            tmp_path,
            feeds={"today": FEED, "mine": PRIVATE},
            handle=somebody.handle,
            app_password=APP_PASSWORD,
        )
        partition = sync_feeds(con, Lake(tmp_path / "lake"), chosen, today(chosen.timezone))
    rows, odd = stored(con, tmp_path, chosen)
    assert odd == []
    assert {(row["metadata"]["source_feed"], row["uri"], row["cid"]) for row in rows} == {
        (name, post.uri, post.cid)
        for name, shown in (("today", posts[:250]), ("mine", posts[200:]))
        for post in shown
    }
    assert all(read["problem"] is None for read in partition.details["feeds"].values())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inner:
        yield (*prefix, key)
        if isinstance(part, dict | list):
            yield from paths(part, (*prefix, key))


RICH = item(
    1, labels=[{"src": "did:plc:l", "uri": "at://x", "val": "v", "exp": "2027-01-01T00:00:00Z"}]
)
RICH["post"]["record"].update(
    embed={"$type": "app.bsky.embed.external", "external": {"uri": "https://a.test", "title": "t"}},
    facets=[
        {
            "index": {"byteStart": 0, "byteEnd": 4},
            "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "post"}],
        }
    ],
    labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "porn"}]},
    entities=[{"index": {"start": 0, "end": 4}, "type": "link", "value": "https://a.test"}],
    reply={"root": {"uri": "at://a", "cid": "b"}, "parent": {"uri": "at://a", "cid": "b"}},
    tags=["a"],
)


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_whatever_stands_anywhere_in_an_item_every_item_is_accounted_for(
    con: duckdb.DuckDBPyConnection,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    odd_items = []
    for _ in range(12):
        odd = copy.deepcopy(RICH)
        way = data.draw(st.sampled_from(list(paths(RICH))))
        part: Any = odd
        for key in way[:-1]:
            part = part[key]
        part[way[-1]] = data.draw(json_values)
        odd_items.append(odd)
    with serve(pages([item(0), *odd_items, item(2)])) as host:
        partition, rows, quarantined = sync(con, tmp_path_factory.mktemp("data"), host)
    details = partition.details["feeds"]["today"]
    assert details["items"] == 14
    assert len(rows) + details["repeats"] + details["quarantined"] == 14
    assert {row["position"] for row in rows} >= {0, 13}
    assert all(odd["reason"] and odd["detail"] for odd in quarantined)
    for odd in quarantined:
        assert json.loads(odd["content"]) == odd_items[int(odd["position"].split("/")[2]) - 1]


def captured_pages() -> Iterator[tuple[str, list[Any]]]:
    """Every list of feed items or post views in the captured answers, by file and name."""
    for path in sorted(REAL_FEEDS.glob("*/*.json")):
        content = orjson.loads(path.read_bytes())
        named = {"": content, **content} if isinstance(content, dict) else {}
        for name, value in named.items():
            items = value.get("feed") if isinstance(value, dict) else value
            if isinstance(items, list) and items and is_item(items[0]):
                yield f"{path.parent.name}/{path.stem}:{name}", items


def is_item(value: Any) -> bool:
    return isinstance(value, dict) and ("record" in value or isinstance(value.get("post"), dict))


@pytest.mark.real_data
def test_captured_pages_are_stored_or_quarantined_item_by_item(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    if not REAL_FEEDS.is_dir():
        pytest.skip(f"no captured feeds at {REAL_FEEDS}; set BSKY_REAL_DATA")
    captured = dict(captured_pages())
    names = {f"feed{number}": f"{FEED}-{number}" for number, _ in enumerate(captured)}
    by_uri = dict(zip(names.values(), captured.values(), strict=True))
    with serve(lambda asked: Answer({"feed": by_uri[asked.one("feed") or ""]})) as host:
        partition, rows, quarantined = sync(con, tmp_path, host, feeds=names)
    shown = sum(len(items) for items in captured.values())
    details = partition.details["feeds"].values()
    assert shown > 500
    assert sum(read["items"] for read in details) == shown
    assert len(rows) + sum(read["repeats"] for read in details) + len(quarantined) == shown
    shown_posts = {
        post["uri"]: post
        for items in captured.values()
        for post in ((each.get("post") or each) if is_item(each) else {} for each in items)
        if str(post.get("uri")).startswith("at://did:")
    }
    assert {row["uri"] for row in rows} == {
        uri for uri in shown_posts if "/app.bsky.feed.post/" in uri
    }
    for row in rows:
        post = shown_posts[row["uri"]]
        assert row["record"]["text"] == post["record"]["text"]
        assert row["record"]["created_at"] == post["record"]["createdAt"]
        assert row["cid"] == post["cid"]
        assert row["author"]["did"] == post["author"]["did"]
    reasons = {odd["reason"] for odd in quarantined}
    assert reasons <= {
        "bad_field",
        "missing_field",
        "not_an_object",
        "not_found_post",
        "blocked_post",
    }
