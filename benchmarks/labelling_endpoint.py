"""How much of an endpoint's capacity the labelling uses, beside a bare HTTP load generator.

Each scenario labels made-up posts through a simulated endpoint whose ceiling is known, with an
empty ledger; in the same run plain aiohttp sends the same number of requests of the same size.
The rate is that of asking (answers over seconds from the first request to the last answer).
"""

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import aiohttp
import duckdb

from benchmarks.labelling_simulated import MODEL, Capacity, running
from benchmarks.measuring import peak_mb, report
from bsky_assets.contracts import FilteredPost
from bsky_assets.labelling.asking.answers import LABELS_ONLY, dump_message, response_format
from bsky_assets.labelling.asking.prompt import load_prompt
from bsky_assets.labelling.asking.questions import make_question
from bsky_assets.labelling.day import label_day
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from testbed.rows import filtered_post, table

DAY = date(2026, 3, 8)


@dataclass(frozen=True)
class Scenario:
    name: str
    capacity: Capacity
    batch_size: int
    posts: int
    concurrency: int
    bar: float
    """Share of the endpoint's ceiling that is to be reached."""

    @property
    def ceiling(self) -> float:
        """Posts a second."""
        return self.capacity.requests_per_second * self.batch_size


SCENARIOS = (
    Scenario("500 posts/s, 10 a request", Capacity(0.2, 10), 10, 10_000, 32, 0.95),
    Scenario("1,000 posts/s, 10 a request", Capacity(0.2, 20), 10, 20_000, 48, 0.90),
    Scenario("100 requests/s, 1 post each", Capacity(0.2, 20), 1, 2_000, 48, 0.90),
    Scenario("refuses above 8, ceiling 64", Capacity(0.1, 8, refuse=True), 10, 12_000, 64, 0.85),
)


def text_of(number: int) -> str:
    return f"Post number {number}: " + "what people say of things in about this many words. " * 3


def store_posts(lake: Lake, count: int) -> None:
    """A day of posts that passed the filters."""
    posts = (filtered_post(number, text_of(number)) for number in range(count))
    lake.write(FilteredPost, DAY, table(FilteredPost, posts))


def label(scenario: Scenario, url: str) -> dict:
    """The details of a day labelled through the platform."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        settings = Settings(
            _env_file=None,
            data_dir=Path(folder),
            llm_base_url=url,
            llm_models=(MODEL,),
            llm_concurrency=scenario.concurrency,
            llm_batch_size=scenario.batch_size,
        )
        lake = Lake(Path(folder) / "lake")
        store_posts(lake, scenario.posts)
        started = time.monotonic()
        details = label_day(con, lake, DAY, settings).details
        return {**details["models"][0], "wall": time.monotonic() - started}


async def load(scenario: Scenario, url: str) -> float:
    """Posts a second of plain aiohttp, with as many in flight as the endpoint takes at once."""
    requests = scenario.posts // scenario.batch_size
    questions = [make_question(text_of(n)).payload for n in range(scenario.batch_size)]
    body = json.dumps(
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": load_prompt().text},
                {"role": "user", "content": dump_message(questions)},
            ],
            "response_format": response_format(LABELS_ONLY, scenario.batch_size),
        }
    ).encode()
    in_flight = asyncio.Semaphore(scenario.capacity.parallel)
    connector = aiohttp.TCPConnector(limit=scenario.concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one() -> None:
            async with in_flight, session.post(f"{url}/chat/completions", data=body) as response:
                json.loads(await response.read())

        started = time.monotonic()
        await asyncio.gather(*(one() for _ in range(requests)))
        return scenario.posts / (time.monotonic() - started)


def run(scenario: Scenario) -> dict:
    with running(scenario.capacity) as url:
        bare = asyncio.run(load(scenario, url))
        labelled = label(scenario, url)
    rate = labelled["answered"] / labelled["seconds"]
    return {
        "name": f"labelling: {scenario.name}",
        "ratio": round(rate / scenario.ceiling, 3),
        "bar": scenario.bar,
        "posts_per_second": round(rate, 1),
        "bare_http_posts_per_second": round(bare, 1),
        "ceiling_posts_per_second": scenario.ceiling,
        "given_up": labelled["failed"],
        "retries": labelled["retries"],
        "wall_seconds": round(labelled["wall"], 2),
        "peak_memory_mb": peak_mb(),
    }


def main() -> None:
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    for scenario in (one for one in SCENARIOS if named in one.name):
        report(**run(scenario))


if __name__ == "__main__":
    main()
