"""The sandbox as a whole: a world behind real protocols, in a thread or in the foreground."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import aiohttp
import httpx
import openai
import pytest
from atproto import Client, models
from atproto_client.models import get_or_create

from bsky_assets.settings import get_settings
from bsky_sandbox.__main__ import CannotWrite, run
from bsky_sandbox.server import CannotListen, Sandbox, Servers
from bsky_sandbox.truth import read_truth
from bsky_sandbox.world import World
from testbed.ports import free_port

DAY = date(2026, 3, 8)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.start(seed=5, day=DAY, events=3000) as sandbox:
        yield sandbox


def test_the_platform_s_settings_take_its_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    settings = get_settings()
    assert settings.relay_url == sandbox.relay_url
    assert settings.appview_url == sandbox.appview_url
    assert settings.labeler_url == sandbox.labeler_url
    assert settings.llm_base_url == sandbox.llm_base_url
    assert settings.llm_models == ("sandbox",)
    assert settings.feeds == {"today": sandbox.world.feed_uri}
    assert settings.trusted_labelers == (sandbox.world.labeler_did,)


def test_the_sdk_reads_the_world_s_feed(sandbox: Sandbox) -> None:
    client, cursor, uris = Client(sandbox.appview_url), None, []
    while True:
        params = {"feed": sandbox.world.feed_uri, "limit": 100, "cursor": cursor}
        page = client.app.bsky.feed.get_feed(params)
        uris += [item.post.uri for item in page.feed]
        if not (cursor := page.cursor):
            break
    expected = [row["uri"] for row in sandbox.world.truth()["feed_items"]]
    assert list(dict.fromkeys(uris)) == expected
    assert len(expected) > 10


def test_every_item_of_the_world_s_feed_keeps_to_the_lexicon(sandbox: Sandbox) -> None:
    params: dict[str, str | int] = {"feed": sandbox.world.feed_uri, "limit": 100}
    url = f"{sandbox.appview_url}/xrpc/app.bsky.feed.getFeed"
    while True:
        page = httpx.get(url, params=params).json()
        get_or_create(page, models.AppBskyFeedGetFeed.Response, strict_string_format=True)
        if "cursor" not in page:
            break
        params["cursor"] = page["cursor"]


def test_an_account_can_log_in_to_the_private_feed(sandbox: Sandbox) -> None:
    client = Client(sandbox.appview_url)
    client.login(sandbox.handle, sandbox.app_password)
    feed = client.app.bsky.feed.get_feed({"feed": sandbox.world.private_feed_uri}).feed
    assert feed[0].post.uri == sandbox.world.feed_items[0].uri


def test_each_stream_serves_all_that_happened(sandbox: Sandbox) -> None:
    async def count(url: str, kind: aiohttp.WSMsgType, expected: int) -> int:
        """Messages that come, until there is none for a while after as many as expected."""
        received = 0
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, max_msg_size=0) as connection,
        ):
            with contextlib.suppress(TimeoutError):
                while True:
                    message = await connection.receive(60 if received < expected else 0.1)
                    received += message.type is kind
        return received

    world, binary = sandbox.world, aiohttp.WSMsgType.BINARY
    repos = f"{sandbox.relay_url}/xrpc/com.atproto.sync.subscribeRepos?cursor="
    assert asyncio.run(count(f"{repos}{world.events[0].seq - 1}", binary, 3000)) == 3000
    labels = f"{sandbox.labeler_url}/xrpc/com.atproto.label.subscribeLabels?cursor="
    batches = len({label.seq for label in world.labels})
    first = world.labels[0].seq - 1
    assert asyncio.run(count(f"{labels}{first}", binary, batches)) == batches
    # One message an operation, and none about a broken chain of commits.
    messages = sum(len(event.ops) or event.kind != "sync" for event in world.events)
    jetstream = f"{sandbox.jetstream_url}/subscribe?cursor=1"
    assert asyncio.run(count(jetstream, aiohttp.WSMsgType.TEXT, messages)) == messages


def test_the_endpoint_knows_every_post_of_the_world(sandbox: Sandbox) -> None:
    posts = {f"p{number}": post for number, post in enumerate(sandbox.world.posts)}
    texts = {key: {"text": post.record["text"]} for key, post in posts.items()}
    with openai.OpenAI(base_url=sandbox.llm_base_url, api_key="x", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="sandbox",
            messages=[{"role": "user", "content": json.dumps(texts)}],
            response_format={"type": "json_object"},
        )
    found = json.loads(answer.choices[0].message.content or "")
    labels = {key: found[key]["label"] for key in posts}
    assert labels == {
        key: (post.ideology if post.is_political else "not_sociopolitical")
        for key, post in posts.items()
    }
    assert {*labels.values()} >= {"left", "right", "unclear", "not_sociopolitical"}


def test_ports_can_be_chosen_and_are_free_again_afterwards() -> None:
    port = free_port()
    for _ in range(2):
        with Sandbox.start(day=DAY, events=100, ports={"llm": port}) as sandbox:
            assert sandbox.llm_base_url == f"http://127.0.0.1:{port}/v1"
            with pytest.raises(CannotListen, match=f"llm cannot listen on port {port}"):
                Sandbox.start(day=DAY, events=100, ports={"llm": port})
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{sandbox.llm_base_url}/models")


def test_stopping_does_not_wait_for_requests_that_hang() -> None:
    sandbox = Sandbox.start(day=DAY, events=100)
    httpx.post(f"{sandbox.appview_url}/faults", json={"p_hang": 1})
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(
            f"{sandbox.appview_url}/xrpc/app.bsky.feed.getFeed",
            timeout=httpx.Timeout(100, read=0.2),
        )
    sandbox.stop()
    sandbox.stop()


def test_the_firehose_is_encoded_before_anybody_reads_it(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with Sandbox.start(seed=5, day=DAY, events=3000) as ahead:
        frames = ahead.servers.relay.frames
        assert frames.encoded == 0
        ahead.encode_ahead()
        deadline = time.monotonic() + 60
        while frames.encoded < 3000 and time.monotonic() < deadline:
            time.sleep(0.01)
        every = asyncio.run(frames.read(0, 3000))
    assert every == asyncio.run(sandbox.servers.relay.frames.read(0, 3000))
    with Sandbox.start(seed=5, day=DAY, events=3000) as stopped:
        stopped.encode_ahead()
    gc.collect()
    assert "was destroyed but it is pending" not in caplog.text


def test_while_the_firehose_is_encoded_others_have_their_turn() -> None:
    world = World.generate(5, day=DAY, events=1000)
    frames = Servers.of(world).relay.frames

    async def turns_of_others() -> int:
        encoding, turns = asyncio.ensure_future(frames.encode_up_to(1000)), 0
        while not encoding.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(turns_of_others()) > 50


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(
    tmp_path: Path, ending: signal.Signals
) -> None:
    truth, ready = tmp_path / "truth.jsonl", tmp_path / "ready.json"
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    code = (
        "from pathlib import Path; from datetime import date;"
        "import bsky_sandbox.__main__ as command;"
        f"command.DEFAULT_PORTS = {{'relay': {port}}};"
        f"command.run(seed=5, day=date({DAY:%Y, %-m, %-d}), events=300,"
        f"truth=Path({str(truth)!r}), ready_file=Path({str(ready)!r}))"
    )
    with (
        taken,
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ
        ) as process,
    ):
        deadline = time.monotonic() + 200
        while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        environment = json.loads(ready.read_text())
        assert httpx.get(f"{environment['BSKY_LLM_BASE_URL']}/models").status_code == 200
        process.send_signal(ending)
        printed, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert not environment["BSKY_RELAY_URL"].endswith(f":{port}")
    for name, value in environment.items():
        assert f"export {name}={value}" in printed.splitlines()
    assert {path.name for path in tmp_path.iterdir()} == {"truth.jsonl", "ready.json"}
    with Sandbox.start(seed=5, day=DAY, events=300) as again:
        assert read_truth(truth) == again.world.truth()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "no such folder" / "truth.jsonl"
    with pytest.raises(CannotWrite, match="no such folder"):
        run(day=DAY, events=100, truth=place)
