"""A simulated OpenAI-compatible endpoint of known capacity: fixed latency, fixed parallelism.

Its ceiling is `parallel / latency` requests a second. What is beyond `parallel` waits, or is
refused with 429 if `refuse` is set. Run as a process of its own by `running`.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
from aiohttp import web

MODEL = "simulated"
LABEL = {"text": "Post", "label": "left"}
CHARACTERS_A_TOKEN = 4
CODE = re.compile(r"the code (\d+)")


@dataclass(frozen=True)
class Capacity:
    latency: float
    parallel: int
    refuse: bool = False

    @property
    def requests_per_second(self) -> float:
        return self.parallel / self.latency


class Simulated:
    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.slots = asyncio.Semaphore(capacity.parallel)
        self.in_flight = 0

    async def complete(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if self.capacity.refuse and self.in_flight >= self.capacity.parallel:
            error = {"error": {"message": "too many requests", "type": "requests"}}
            return web.json_response(error, status=429)
        self.in_flight += 1
        try:
            async with self.slots:
                await asyncio.sleep(self.capacity.latency)
        finally:
            self.in_flight -= 1
        return web.Response(body=answer(body), content_type="application/json")

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})


def answer(body: dict) -> bytes:
    schema = body["response_format"]["json_schema"]["schema"]
    probed = schema["properties"].get("answer")
    system = body["messages"][0]["content"]
    code = CODE.search(system)
    content = (
        {"answer": probed["enum"][0]}
        if probed
        else {**dict.fromkeys(schema["properties"], LABEL), "code": code[1] if code else ""}
    )
    message = {"role": "assistant", "content": orjson.dumps(content).decode()}
    read = sum(len(sent["content"]) for sent in body["messages"]) // CHARACTERS_A_TOKEN
    return orjson.dumps(
        {
            "id": "simulated",
            "object": "chat.completion",
            "created": 0,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": read, "completion_tokens": 20, "total_tokens": read + 20},
        }
    )


@contextmanager
def running(capacity: Capacity) -> Iterator[str]:
    """The URL of an endpoint with this capacity, in a process of its own."""
    arguments = [str(capacity.latency), str(capacity.parallel), *["--refuse"] * capacity.refuse]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.labelling_simulated", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


async def serve(capacity: Capacity) -> None:
    simulated = Simulated(capacity)
    app = web.Application(client_max_size=2**25)
    app.add_routes(
        [
            web.post("/v1/chat/completions", simulated.complete),
            web.get("/v1/models", simulated.models),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("latency", type=float)
    parser.add_argument("parallel", type=int)
    parser.add_argument("--refuse", action="store_true")
    given = parser.parse_args()
    asyncio.run(serve(Capacity(given.latency, given.parallel, given.refuse)))
