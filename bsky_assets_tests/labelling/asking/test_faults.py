"""No post is given up and none doubled, whatever the endpoint does."""

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aiohttp import web

from bsky_assets.contracts import Quarantined
from bsky_assets.contracts.progress import Progress
from bsky_assets.labelling.asking.endpoint import EndpointRefuses, EndpointUnreachable
from bsky_assets.labelling.asking.policy import Policy
from bsky_assets.storage.partition_sql import select_rows
from bsky_assets_tests.support.labelling import DAY, Lab, expected, known_posts
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter, refusal
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmFaults, LlmServer


@pytest.fixture
def endpoint() -> FakeEndpoint:
    return FakeEndpoint()


@pytest.fixture
def lab(tmp_path: Path, endpoint: FakeEndpoint) -> Iterator[Lab]:
    with served(endpoint.app()) as url:
        yield Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})


def test_faults_of_every_kind_cost_no_label(tmp_path: Path) -> None:
    """The mix: 5% 429, 3% 500, 2% hangs, 2% resets, 3% malformed, 3% with a post missing and 2%
    cut off, on the requests for 1,500 posts: that none of a kind strikes is one chance in a
    million."""
    posts = known_posts(1500)
    server = LlmServer(posts)
    with served(server.app()) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_concurrency": 16})
        lab.texts(posts)
        server.injector.faults = LlmFaults(
            seed=4,
            latency=0.01,
            p429=0.05,
            retry_after=0.05,
            p500=0.03,
            p_hang=0.02,
            p_reset=0.02,
            p_malformed=0.03,
            p_missing_slot=0.03,
            p_truncate=0.02,
        )
        policy = Policy(shortest_timeout=0.7, first_timeout=3.0)
        details = lab.label(policy=policy, batch_size=2).details
        assert lab.labels() == expected(posts)
    assert details["failed"] == 0
    retries = details["models"][0]["retries"]
    kinds = {"busy", "server_error", "timed_out", "no_connection", "other_keys", "truncated"}
    assert kinds <= set(retries), "the faults happened"


def test_a_server_that_refuses_above_its_parallelism_is_not_overrun(tmp_path: Path) -> None:
    posts = known_posts(600)
    server = LlmServer(posts, faults=LlmFaults(latency=0.02, parallel=8, retry_after=0.02))
    with served(server.app()) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_concurrency": 64})
        lab.texts(posts)
        details = lab.label(batch_size=2).details
        assert lab.labels() == expected(posts)
    (model,) = details["models"]
    assert model["concurrency"]["highest"] < 64
    assert server.statuses[429] < server.statuses[200]


def test_an_endpoint_that_goes_away_loses_nothing_and_is_gone_on_with(tmp_path: Path) -> None:
    posts = known_posts(400)
    server = LlmServer(posts, faults=LlmFaults(latency=0.05))
    lab = Lab(tmp_path, "http://127.0.0.1:9/v1")
    lab.texts(posts)

    def stop_half_way(progress: Progress) -> None:
        if progress.done >= 100:
            server.injector.faults = LlmFaults(p_reset=1)

    with served(server.app()) as url:
        lab.url = f"{url}/v1"
        lab.options["llm_concurrency"] = 2
        with pytest.raises(EndpointUnreachable, match=r"(\d+) posts left .* run again") as raised:
            lab.label(policy=Policy(patience=1.0), progress=stop_half_way)
        assert "\n" not in str(raised.value)
        answered = server.statuses[200]
        server.injector.faults = LlmFaults()
        details = lab.label().details
        assert lab.labels() == expected(posts)
    assert details["models"][0]["already_known"] >= 100
    assert server.statuses[200] - answered <= 32, "only what was left was asked, and two probes"


@pytest.mark.timeout(250)
def test_who_hangs_before_latencies_are_known_is_not_waited_for_longer_than_needed(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    hung = asyncio.Event()

    @web.middleware
    async def hang_first(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.method == "POST" and len(endpoint.probes) == 2 and not hung.is_set():
            hung.set()
            await asyncio.sleep(600)
        return await handler(request)

    app = endpoint.app()
    app.middlewares.append(hang_first)
    with served(app) as url:
        lab.url = f"{url}/v1"
        lab.texts(known_posts(200))
        policy = Policy(first_timeout=600, shortest_timeout=0.5)
        details = lab.label(policy=policy, batch_size=2).details
    assert details["labelled"] == 200
    assert {*details["models"][0]["retries"]} == {"timed_out"}


def quarantined_details(lab: Lab) -> list[str]:
    with duckdb.connect() as con:
        stored = select_rows(Quarantined, lab.lake.partitions(Quarantined))
        return [detail for (detail,) in con.sql(f"SELECT detail FROM ({stored})").fetchall()]


def test_a_post_that_breaks_the_server_breaks_no_other(lab: Lab, endpoint: FakeEndpoint) -> None:
    posts = known_posts(40)
    poison = posts[17].text

    def answer(body: dict[str, Any], question: Any) -> Any:
        if any(post["text"] == poison for post in question.values()):
            return refusal(500, "assertion failed")
        return by_first_letter(body, question)

    endpoint.answer = answer
    lab.texts(posts)
    policy = Policy(server_errors=3, split_after=2)
    details = lab.label(policy=policy).details
    assert (details["labelled"], details["failed"]) == (39, 1)
    (failed,) = [row for row in lab.rows() if not row["was_successfully_labeled"]]
    assert failed["error"] == "server_error: 500: assertion failed"
    quarantine = lab.lake.quarantine("llm_labels", DAY)
    assert quarantine is not None
    assert quarantine.rows == 1
    assert failed["uri"] in quarantined_details(lab)[0], "so that it can be erased with its post"
    endpoint.asked.clear()
    endpoint.answer = by_first_letter
    assert lab.label().details["failed"] == 0
    assert endpoint.asked == {poison: 1}, "the next run asks about it again, and about no other"
    emptied = lab.lake.quarantine("llm_labels", DAY)
    assert emptied is not None
    assert emptied.rows == 0


def test_a_request_that_does_not_fit_the_context_is_split(lab: Lab, endpoint: FakeEndpoint) -> None:
    def answer(body: dict[str, Any], question: Any) -> Any:
        if len(question) > 3:
            return refusal(400, "the request exceeds the available context size")
        return by_first_letter(body, question)

    endpoint.answer = answer
    lab.texts(known_posts(40))
    assert lab.label(batch_size=10).details["failed"] == 0
    assert {row["batch_size"] for row in lab.rows()} <= {1, 2, 3}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (lambda fake, _: fake.completion("", message={"refusal": "I cannot"}), "refused"),
        (lambda _, __: refusal(400, "content_filter"), "declined"),
        (lambda _, __: json.dumps({"p0": {"text": "Odd", "label": "left"}}), "other_keys"),
        (lambda _, __: "as an AI", "no_json"),
        (lambda _, __: web.Response(text="<html>", content_type="text/html"), "server_error"),
    ],
)
def test_a_post_that_is_never_answered_is_kept_with_the_reason(
    lab: Lab,
    endpoint: FakeEndpoint,
    answers: Callable[[FakeEndpoint, Any], Any],
    reason: str,
) -> None:
    endpoint.answer = lambda body, question: (
        answers(endpoint, question)
        if any(post["text"] == "Odd" for post in question.values())
        else by_first_letter(body, question)
    )
    posts = [*known_posts(8), type(known_posts(1)[0])("Odd")]
    lab.texts(posts)
    details = lab.label(policy=Policy(invalid_answers=3, server_errors=2)).details
    assert details["labelled"] == 8
    errors = [row["error"] for row in lab.rows() if row["error"]]
    assert [error.split(":")[0] for error in errors] == [reason]


def test_an_answer_that_is_no_label_is_asked_for_again_alone(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    def answer(body: dict[str, Any], question: Any) -> Any:
        answers = by_first_letter(body, question)
        if len(question) > 1:
            answers["p1"] = "far left"
        return answers

    endpoint.answer = answer
    lab.texts(known_posts(30))
    lab.label(batch_size=10)
    sizes = Counter((row["batch_size"], row["attempts"]) for row in lab.rows())
    assert sizes == {(10, 1): 27, (1, 2): 3}


def test_what_is_cut_off_alone_may_be_longer_the_next_time(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    def answer(body: dict[str, Any], question: Any) -> Any:
        if body["max_tokens"] < 800:
            return endpoint.completion('{"p0": {"is_soc', finish_reason="length")
        return by_first_letter(body, question)

    endpoint.answer = answer
    lab.texts(known_posts(4))
    assert lab.label(batch_size=2).details["failed"] == 0


def test_a_used_up_quota_stops_at_once(lab: Lab, endpoint: FakeEndpoint) -> None:
    endpoint.answer = lambda _, __: refusal(429, "You exceeded your quota", "insufficient_quota")
    lab.texts(known_posts(4))
    with pytest.raises(EndpointRefuses, match="quota"):
        lab.label()


LABELLING = """
import sys, duckdb
from bsky_assets.labelling.day import label_day
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.labelling import DAY
settings = Settings(_env_file=None)
with duckdb.connect() as con:
    label_day(con, Lake(settings.data_dir / "lake"), DAY, settings,
              progress=lambda progress: print(progress.done, flush=True))
"""


@pytest.mark.scenario
def test_killed_three_times_it_asks_hardly_anything_twice(tmp_path: Path) -> None:
    """kill -9 costs no more than what was in flight: of a day of 10,000 posts, 5% for three."""
    posts = known_posts(3000)
    server = LlmServer(posts, faults=LlmFaults(latency=0.04))
    asked, goal = 0, math.inf

    @web.middleware
    async def count(request: web.Request, handler: Any) -> web.StreamResponse:
        nonlocal asked
        if request.method == "POST":
            asked += json.loads(await request.text())["messages"][-1]["content"].count('"text":')
            while asked >= goal:  # until who asked is killed
                await asyncio.sleep(0.01)
        return await handler(request)

    def enough() -> bool:
        return asked >= goal

    app = server.app()
    app.middlewares.append(count)
    with served(app) as url:
        lab = Lab(tmp_path, f"{url}/v1")
        lab.texts(posts)
        for goal_before_a_kill in (700, 1400, 2100):
            goal = goal_before_a_kill
            kill_after(lab, enough)
        assert lab.rows() == []
        goal = math.inf
        details = lab.label().details
        assert lab.labels() == expected(posts)
    assert details["models"][0]["already_known"] > 1500
    in_flight = lab.settings.llm_concurrency * lab.settings.llm_batch_size
    assert 3000 <= asked <= 3000 + 3 * in_flight


def kill_after(lab: Lab, enough: Callable[[], bool]) -> None:
    settings = lab.settings
    process = subprocess.Popen(
        [sys.executable, "-c", LABELLING],
        env={
            **os.environ,
            "BSKY_DATA_DIR": str(settings.data_dir),
            "BSKY_LLM_BASE_URL": settings.llm_base_url,
            "BSKY_LLM_MODELS": "sandbox",
        },
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 250
    while not enough():
        assert process.poll() is None, "it ended before it was to be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
