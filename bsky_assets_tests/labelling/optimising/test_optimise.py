"""`labels optimise` on an endpoint that understands twisted posts only if the wording says how."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.commands.trials import optimise_wording
from bsky_assets.contracts import ConsolidatedPost, RawFirehosePost, RawPostDeletion, arrow_schema
from bsky_assets.contracts.codebooks import read_codebook
from bsky_assets.labelling.asking.budget import BudgetSpent
from bsky_assets.labelling.asking.prompt import load_prompt
from bsky_assets.settings import get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, Question, refusal, tokens_of
from bsky_assets_tests.support.sandbox_day import plain_environment
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, firehose_post, post_deletion, table

ADVICE = "A twisted post means what it says."
SHOWN = re.compile(r"Statement \d+, \w+")
WRITE = "You improve the wording"


class Writer(FakeEndpoint):
    """Labels posts by their first letter, but twisted ones only if it is told how; asked to write,
    it adds what it was shown if it `quotes`, else the advice if it `helps`, or a number. It counts
    all that it does."""

    def __init__(
        self, *, helps: bool = True, fails_each: int = 0, waits: float = 0.0, quotes: bool = False
    ) -> None:
        super().__init__(self._label)
        self.helps, self.fails_each, self.waits, self.quotes = helps, fails_each, waits, quotes
        self.completions = self.tokens = self.written = 0
        self.pairs: list[tuple[str, str]] = []
        """Of prompt and text, each time that a text was asked about."""

    def completion(self, content: Any, tokens: int = 100_000, **choice: Any) -> web.Response:
        self.tokens += tokens + 10
        return super().completion(content, tokens, **choice)

    async def _complete(self, request: web.Request) -> web.Response:
        time.sleep(self.waits)
        self.completions += 1
        if self.fails_each and self.completions % self.fails_each == 0:
            return refusal((429, 500)[self.completions // self.fails_each % 2], "not now")
        body = await request.json()
        asked = body["messages"][-1]["content"]
        if asked.startswith(WRITE):
            self.written += 1
            (old,) = re.findall(r"change:\n```\n(.*?)\n```\n\nPosts", asked, re.DOTALL)
            more = ADVICE if self.helps else f"Remark {self.written}."
            if self.quotes:
                more = " ".join(SHOWN.findall(asked))
            return self.completion(f"```\n{old}\n{more}\n```", tokens_of(body))
        return await super()._complete(request)

    def _label(self, body: dict[str, Any], question: Question) -> dict[str, Any]:
        system = body["messages"][0]["content"]
        self.pairs += [(system, post["text"]) for post in question.values()]
        knows = ADVICE in system
        return {
            key: "not_sociopolitical" if "twisted" in post["text"] and not knows else "left"
            for key, post in question.items()
        }


def gold_file(folder: Path, posts: int = 120) -> Path:
    path = folder / "gold.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", "text", "political_ideology"])
        for number in range(posts):
            uri = f"at://did:plc:author{number}/app.bsky.feed.post/{number}"
            kind = "twisted" if number % 5 < 2 else "plain"
            writer.writerow([uri, f"Statement {number}, {kind}", "left"])
    return path


def environment(folder: Path, url: str) -> dict[str, str]:
    return {
        "BSKY_DATA_DIR": str(folder / "data"), "BSKY_LLM_BASE_URL": f"{url}/v1",
        "BSKY_LLM_MODELS": "fake",
    }  # fmt: skip


def tried(folder: Path) -> list[dict[str, Any]]:
    log = folder / "data" / "optimise" / "sociopolitical" / "tried.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_wording_that_helps_is_found_and_promoted_and_nothing_is_asked_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint, gold = Writer(), str(gold_file(tmp_path))
    with served(endpoint.app()) as url:
        call = ["labels", "optimise", gold, "--max-requests", "120"]
        status, out, error = run(monkeypatch, capsys, *call, **environment(tmp_path, url))
        assert status == 0, error
        assert endpoint.completions <= 120
        assert "the sealed test, opened 1 of 3 times" in out
        (promoted,) = (tmp_path / "data" / "optimise").rglob("sociopolitical.toml")
        assert f"set BSKY_LLM_PROMPT={promoted.parent}" in out
        codebook = read_codebook(promoted)
        assert ADVICE in codebook.text
        assert codebook.version != load_prompt().name.rpartition("-")[2]
        assert ADVICE in load_prompt(promoted.parent).text
        log = tried(tmp_path)
        (opened,) = [one for one in log if one["part"] == "test"]
        assert opened["is_better"] is True
        assert opened["prompt_version"] == load_prompt(promoted.parent).version
        assert all(one["requests"] or one["part"] == "train" for one in log[:1])
        before = endpoint.completions
        status, again, _ = run(monkeypatch, capsys, *call, **environment(tmp_path, url))
        assert status == 0
        assert "opened 1 of 3 times" in again, "the same wording has one opening"
        assert endpoint.completions == before, "what is known is not asked again"
    twice = {pair for pair in endpoint.pairs if endpoint.pairs.count(pair) > 1}
    assert twice == set()


def test_where_no_wording_helps_one_is_told_to_keep_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = Writer(helps=False)
    with served(endpoint.app()) as url:
        status, out, error = run(
            monkeypatch, capsys, "labels", "optimise", str(gold_file(tmp_path)),
            "--max-requests", "60", "--gain", "0.1", **environment(tmp_path, url),
        )  # fmt: skip
    assert status == 0, error
    assert "no better, keep yours; to see a gain of 10 points" in out
    assert not list((tmp_path / "data" / "optimise").rglob("*.toml"))
    assert not (tmp_path / "data" / "optimise" / "sociopolitical" / "openings.json").exists()


@settings(max_examples=6, deadline=None)
@given(
    requests=st.integers(1, 60),
    tokens=st.integers(1, 400_000),
    fails_each=st.sampled_from([0, 3, 7]),
)
def test_no_call_passes_its_budget_at_the_endpoints_own_count(
    requests: int, tokens: int, fails_each: int
) -> None:
    endpoint = Writer(fails_each=fails_each)
    with (
        TemporaryDirectory() as folder,
        served(endpoint.app()) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environment(Path(folder), url).items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        gold = gold_file(Path(folder))
        for _ in range(2):  # the second goes on from the first
            before = endpoint.completions, endpoint.tokens
            with suppress(BudgetSpent):
                optimise_wording(gold, None, requests, tokens, 3, 0.05, 0)
            assert endpoint.completions - before[0] <= requests
            assert endpoint.tokens - before[1] <= tokens


@pytest.mark.scenario
def test_a_call_that_is_killed_goes_on_from_what_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint, gold = Writer(waits=0.05), str(gold_file(tmp_path))
    with served(endpoint.app()) as url:
        told = environment(tmp_path, url) | {"BSKY_LLM_CONCURRENCY": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "bsky_assets", "labels", "optimise", gold],
            env=plain_environment() | told | {"PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while endpoint.written < 1:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        endpoint.waits = 0.0
        status, out, error = run(monkeypatch, capsys, "labels", "optimise", gold, **told)
    assert status == 0, error
    assert "better: " in out
    twice = [pair for pair in {*endpoint.pairs} if endpoint.pairs.count(pair) > 1]
    assert len(twice) <= 10, "what was in flight, and no more"


def test_what_was_written_with_a_post_in_sight_leaves_in_the_night_in_which_the_post_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint, gold = Writer(quotes=True), str(gold_file(tmp_path))
    with served(endpoint.app()) as url:
        told = environment(tmp_path, url)
        call = ["labels", "optimise", gold, "--max-requests", "80"]
        assert run(monkeypatch, capsys, *call, **told)[0] == 0
        kept = tmp_path / "data" / "optimise" / "sociopolitical" / "written.jsonl"
        shown = [{*SHOWN.findall(line)} for line in kept.read_text().splitlines() if line]
        earlier = [set[str]().union(*shown[:number]) for number in range(len(shown))]
        new = [(before, texts - before) for before, texts in zip(earlier, shown, strict=True)]
        before, last = [pair for pair in new if all(pair)][-1]
        text = min(last)
        number = int(text.split()[1].rstrip(","))
        post = filtered_post(number, text)
        lake = Lake(tmp_path / "data" / "lake")
        day = date(2026, 3, 8)
        lake.write(ConsolidatedPost, day, table(ConsolidatedPost, [_consolidated(post)]))
        did, rkey = post["author"]["did"], f"3k{number}"
        came = firehose_post(did, rkey, record=post["record"])
        lake.write(RawFirehosePost, day, table(RawFirehosePost, [came]))
        gone = post_deletion(did, rkey, 9)
        assert run(monkeypatch, capsys, "maintain", **told)[0] == 0
        assert text in kept.read_text(), "nothing is deleted so far"
        lake.write(RawPostDeletion, day, table(RawPostDeletion, [gone]))
        assert run(monkeypatch, capsys, "maintain", **told)[0] == 0
        assert {*SHOWN.findall(kept.read_text())} == before, "what it was not shown for stays"
        written = endpoint.written
        assert run(monkeypatch, capsys, *call, **told)[0] == 0
        assert endpoint.written > written, "it is only asked again"


def _consolidated(post: dict[str, Any]) -> dict[str, Any]:
    names = arrow_schema(ConsolidatedPost).names
    return {name: value for name, value in post.items() if name in names}


def test_too_few_coded_posts_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, error = run(
        monkeypatch, capsys, "labels", "optimise", str(gold_file(tmp_path, 30)),
        **environment(tmp_path, "http://127.0.0.1:9/v1"),
    )  # fmt: skip
    assert (status, out) == (1, "")
    assert "too few coded posts for" in error
    assert "code more" in error
