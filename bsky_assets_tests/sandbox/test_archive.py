"""The sandbox's archive, read with the AT Protocol SDK, against the world that it is of."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from atproto import JetstreamClient
from atproto_jetstream.archive import decode_block
from atproto_jetstream.archive.downloader import iter_block_frames

from bsky_assets_tests.support.serving import served
from bsky_sandbox.archive import BLOCK, LIST, PLAN, SEGMENT, Archive
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.server import history_of
from bsky_sandbox.world import World

KEY = "key-of-the-archive"
POST = "app.bsky.feed.post"


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(6, day=date(2026, 3, 8), events=3_000)


def archive_of(world: World, **options: Any) -> Archive:
    small = {"events_a_block": 128, "blocks_a_segment": 4, "plan_entries": 5}
    return Archive(lambda: history_of(world).rows(), **{**small, **options})


@pytest.fixture(scope="module")
def archive(world: World) -> Archive:
    return archive_of(world, api_key=KEY)


@pytest.fixture(scope="module")
def url(archive: Archive) -> Iterator[str]:
    with served(archive.app()) as url:
        yield url


def snapshot(url: str, **params: Any) -> list[Any]:
    # Of #sync the SDK's model takes no bytes, so that its messages cannot be made.
    asked = {"kinds": ["commit", "identity", "account"], **params}
    client = JetstreamClient(asked, base_uri=f"{url.replace('http', 'ws')}/xrpc", api_key=KEY)
    return list(client.snapshot())


def get(url: str, method: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
    return httpx.get(f"{url}/xrpc/{method}", params=options, headers=headers)


def test_what_is_left_of_the_world_is_in_it_once_with_its_cids(url: str, world: World) -> None:
    rows = [row for message in snapshot(url, collections=[POST]) for row in told(message)]
    alive = {uri: cid for kind, uri, cid in rows if kind in ("create", "update")}
    puts = [uri for kind, uri, _ in rows if kind in ("create", "update")]
    there = {
        post.uri: post.cid
        for post in world.posts
        if not post.is_deleted and post.account_status != "deleted"
    }
    assert alive == there
    assert len(puts) == len(there)
    assert {uri for kind, uri, _ in rows if kind == "delete"} == {
        f"at://{event.did}/{op.path}"
        for event in world.events
        for op in event.ops
        if op.action == "delete" and op.collection == POST
    }
    assert any(event.kind == "sync" for event in world.events)  # they are there once all the same


def told(message: Any) -> Iterator[tuple[str, str, Any]]:
    """What a commit of the SDK says: operation, URI, CID."""
    if (op := getattr(message, "operation", None)) is not None:
        yield op, f"at://{message.did}/{message.collection}/{message.rkey}", message.cid


def test_segments_and_blocks_say_the_same(url: str, archive: Archive) -> None:
    listed, cursor = [], None
    while True:
        page = get(url, LIST, limit=3, **({"cursor": cursor} if cursor else {})).json()
        listed += page["segments"]
        if (cursor := page.get("cursor")) is None:
            break
    assert len(listed) == len(archive.segments) > 3
    assert [one["index"] for one in listed] == list(range(len(listed)))
    for one in listed:
        answer = get(url, SEGMENT, name=one["name"])
        assert answer.headers["ETag"] == f'"{one["checksum"]}"'
        assert len(answer.content) == one["sizeBytes"]
        for place, frame in enumerate(iter_block_frames(answer.content)):
            assert get(url, BLOCK, segment=one["name"], blockIndex=place).content == frame
        frames = iter_block_frames(answer.content)
        numbers = [row.seq for frame in frames for row in decode_block(frame)]
        assert one["minSeq"] <= numbers[0] <= numbers[-1] <= one["maxSeq"]
        assert one["eventCount"] == len(numbers)


def test_a_download_goes_on_where_it_was_cut_off_unless_the_segment_is_another(
    world: World,
) -> None:
    archive = archive_of(world, is_compacted=False)
    with served(archive.app()) as url:
        one = get(url, LIST).json()["segments"][-3]
        whole = get(url, SEGMENT, name=one["name"]).content
        tag = f'"{one["checksum"]}"'
        rest = {"Range": "bytes=100-", "If-Range": tag}
        assert get(url, SEGMENT, name=one["name"], headers=rest).content == whole[100:]
        assert archive.compact() > 0
        again = get(url, SEGMENT, name=one["name"], headers=rest)
        assert (again.status_code, again.headers["ETag"] != tag) == (200, True)
        assert len(again.content) < len(whole)


def test_refusals_say_why(url: str, world: World) -> None:
    assert httpx.get(f"{url}/xrpc/{LIST}").json()["error"] == "AuthenticationRequired"
    assert get(url, SEGMENT, name="seg_zzzzzzzzzz.jss").json()["error"] == "SegmentNotFound"
    far = get(url, BLOCK, segment="seg_0000000000.jss", blockIndex=99)
    assert (far.status_code, far.json()["error"]) == (404, "BlockNotFound")
    archive = archive_of(world, quota=1_000)
    with served(archive.app()) as other:
        refused = get(other, SEGMENT, name="seg_0000000000.jss")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        archive.quota = None
        archive.server.injector.faults = HttpFaults(p_cut=1)
        with pytest.raises(httpx.HTTPError):
            get(other, SEGMENT, name="seg_0000000000.jss")
        archive.server.injector.faults = HttpFaults(p_flip=1)
        wrong = get(other, SEGMENT, name="seg_0000000000.jss").content
        assert wrong != archive.segments[0].data
        body = {"kinds": ["likes"]}
        assert httpx.post(f"{other}/xrpc/{PLAN}", json=body).status_code == 400
