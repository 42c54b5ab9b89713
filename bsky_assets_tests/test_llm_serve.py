"""A real server: llama.cpp's own, with a tiny model of random weights that the tests write.

What it answers means nothing (its weights are random): these tests are about schemas, keys,
kills and restarts, and never about the quality of a label.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from bsky_assets.labelling.asking import Policy
from bsky_assets.labelling.day import ledger_of
from bsky_assets.labelling.endpoint import EndpointUnreachable
from bsky_assets.labelling.local_server import CannotServe, LocalServer, prepare, serving
from bsky_assets.labelling.model_round import Progress
from bsky_assets.labelling.trace import labels_without_their_post
from bsky_assets_tests.labelling_fixtures import DAY, Lab, known_posts, write_random_gguf
from bsky_assets_tests.test_labelling import HOSTILE

pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")

PATIENT = Policy(patience=30)
NAME = "random-weights"


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_gguf(tmp_path_factory.mktemp("model") / f"{NAME}.gguf")


@pytest.fixture
def server(gguf: Path) -> Iterator[LocalServer]:
    with serving(prepare(gguf, port=0, parallel=4, context=16_384, threads=1)) as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path, server: LocalServer) -> Lab:
    return Lab(tmp_path, server.url, {"llm_models": (NAME,), "llm_concurrency": 8})


def check_answers(lab: Lab) -> None:
    """Every post has its one label, which is valid or says why not, and was made from the post."""
    rows = lab.rows()
    assert len({row["uri"] for row in rows}) == len(rows)
    for row in rows:
        if row["was_successfully_labeled"]:
            assert row["is_sociopolitical"] is (row["political_ideology"] is not None)
        else:
            assert row["error"] == "inconsistent", "a schema cannot rule that out"
    with duckdb.connect() as con:
        ledger = ledger_of(lab.settings)
        assert labels_without_their_post(con, lab.lake, ledger, DAY) == []
        answers = ledger.relation(con).to_arrow_table().to_pylist()
    for answer in answers:
        if answer["finish_reason"] == "stop":
            said = json.loads(answer["raw_answer"])
            assert list(said) == [f"p{n}" for n in range(answer["batch_size"])]
            for slot in said.values():
                assert list(slot) == ["is_sociopolitical", "political_ideology"]
                assert isinstance(slot["is_sociopolitical"], bool)
                assert slot["political_ideology"] in (
                    "left",
                    "right",
                    "moderate",
                    "unclear",
                    "none",
                )


def test_random_weights_give_answers_that_keep_the_schema(lab: Lab, gguf: Path) -> None:
    posts = known_posts(200)
    lab.texts(posts)
    details = lab.label(policy=PATIENT).details
    assert details["labelled"] + details["failed"] == 200
    assert details["labelled"] >= 190
    check_answers(lab)
    preflight = details["models"][0]["preflight"]
    assert preflight["server"] == "llama.cpp"
    assert preflight["enforces_schema"] is True
    digest = subprocess.run(["sha256sum", gguf], capture_output=True, check=True, text=True)
    assert preflight["model_digest"] == f"sha256:{digest.stdout.split()[0]}"
    assert (
        details["models"][0]["cached_prompt_tokens"] > 0.5 * details["models"][0]["prompt_tokens"]
    )


def test_injected_instructions_change_neither_schema_nor_keys_of_random_weights(lab: Lab) -> None:
    posts = known_posts(len(HOSTILE) * 5)
    texts = [f"{text} {n}" for n, text in enumerate(HOSTILE * 5)]
    lab.texts([type(posts[0])(text) for text in texts])
    details = lab.label(policy=PATIENT, batch_size=6).details
    assert details["labelled"] + details["failed"] == len(texts)
    check_answers(lab)


def test_a_killed_server_of_random_weights_is_started_again_and_nothing_is_lost(
    lab: Lab, server: LocalServer
) -> None:
    told: list[str] = []
    keeper = threading.Thread(target=server.keep_running, args=(told.append,))
    keeper.start()
    posts = known_posts(160)
    lab.texts(posts)
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if not killed and server.pid and progress.done >= 20:
            killed.append(server.pid)
            os.kill(server.pid, signal.SIGKILL)

    details = lab.label(policy=PATIENT, progress=kill).details
    server.stop()
    keeper.join(20)
    assert killed, "it was killed half-way"
    assert told == ["llama.cpp was ended by signal 9; starting it again"]
    assert details["labelled"] + details["failed"] == 160
    check_answers(lab)


def test_without_restart_the_run_stops_and_another_goes_on_with_random_weights(
    lab: Lab, server: LocalServer
) -> None:
    lab.texts(known_posts(160))

    def kill(progress: Progress) -> None:
        if progress.done >= 20 and server.pid:
            os.kill(server.pid, signal.SIGKILL)

    with pytest.raises(EndpointUnreachable, match="run again to go on"):
        lab.label(policy=Policy(patience=1), progress=kill)
    server.start()
    details = lab.label(policy=PATIENT).details
    assert details["models"][0]["already_known"] >= 20
    assert details["labelled"] + details["failed"] == 160
    check_answers(lab)


def test_the_command_serves_until_it_is_ended_and_leaves_no_process(gguf: Path) -> None:
    command = "from bsky_assets.commands.llm import app; app()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "serve", "--gguf", str(gguf), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    assert lines[0].startswith(f"serving {NAME} (sha256:")
    url = lines[1].removeprefix("BSKY_LLM_BASE_URL=")
    assert lines[2] == f"BSKY_LLM_MODELS={NAME}"
    port = int(url.split(":")[2].split("/")[0])
    socket.create_connection(("127.0.0.1", port), 5).close()
    process.terminate()
    process.communicate(timeout=30)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_a_server_whose_starter_was_killed_ends_by_itself(gguf: Path, tmp_path: Path) -> None:
    command = (
        "import sys, time; from pathlib import Path;"
        "from bsky_assets.labelling.local_server import prepare, serving;"
        "served = serving(prepare(Path(sys.argv[1]), port=0, parallel=1, context=512));"
        "print(served.__enter__().pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", command, str(gguf)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline, "it goes on without anybody to stop it"
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_what_cannot_be_served_is_said_in_one_line(gguf: Path, tmp_path: Path) -> None:
    not_a_model = tmp_path / "model.gguf"
    not_a_model.write_bytes(b"PK\x03\x04")
    cut_off = tmp_path / "cut.gguf"
    cut_off.write_bytes(gguf.read_bytes()[:10_000])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for path, chosen, message in (
            (tmp_path / "none.gguf", 0, "cannot read"),
            (not_a_model, 0, "not a GGUF file"),
            (gguf, port, "choose another with --port"),
        ):
            with pytest.raises(CannotServe, match=message):
                prepare(path, port=chosen, parallel=1, context=512)
    served = prepare(cut_off, port=0, parallel=1, context=512)
    with pytest.raises(CannotServe, match=r"llama\.cpp cannot serve") as raised, serving(served):
        pass
    assert "\n" not in str(raised.value)
