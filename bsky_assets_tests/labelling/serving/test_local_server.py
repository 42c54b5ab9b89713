"""A real server: llama.cpp's own, with SmolLM2, and with tiny models that the tests write.

What random weights answer means nothing. With them the tests are about schemas, keys, kills and
restarts; with SmolLM2 about what takes a real chat template, tokenizer and end of an answer; and
none about the quality of a label.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bsky_assets.contracts.progress import Progress
from bsky_assets.labelling.asking import rounds
from bsky_assets.labelling.asking.answers import LABELS
from bsky_assets.labelling.asking.endpoint import EndpointUnreachable
from bsky_assets.labelling.asking.policy import Policy
from bsky_assets.labelling.asking.prompt import PROMPTS
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.ledger.tracing import labels_without_their_post
from bsky_assets.labelling.serving.local_server import (
    CannotServe,
    LocalServer,
    packaged_model,
    prepare,
    serving,
)
from bsky_assets_tests.labelling.asking.hostile import HOSTILE
from bsky_assets_tests.support.labelling import (
    DAY,
    Lab,
    filtered_post,
    known_posts,
    write_random_gguf,
)
from bsky_sandbox.world import World

pytestmark = pytest.mark.scenario

pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")

PATIENT = Policy(patience=250)
NAME = "random-weights"
POSTS = 32
"""More than are under way at once when a server is killed."""
SHORT_PROMPT = "For each post: is it about politics, and if so, which side does it take?"


@pytest.fixture(autouse=True)
def _told_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told of so often that no server has answered all before it is killed."""
    monkeypatch.setattr(rounds, "SYNC_SECONDS", 0.01)


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


def answers_of(lab: Lab) -> list[dict[str, Any]]:
    """What the ledger has, each answer made from its post."""
    with duckdb.connect() as con:
        ledger = ledger_of(lab.settings)
        assert labels_without_their_post(con, lab.lake, ledger, DAY) == []
        answers: list[dict[str, Any]] = ledger.relation(con).to_arrow_table().to_pylist()
    return answers


def check_form(answers: list[dict[str, Any]]) -> None:
    """Every answer that was finished has the keys and labels that were asked for."""
    finished = [answer for answer in answers if answer["finish_reason"] == "stop"]
    assert finished
    for answer in finished:
        said = json.loads(answer["raw_answer"])
        alone = answer["batch_size"] == 1
        keys = [f"p{n}" for n in range(answer["batch_size"])]
        assert list(said) == (keys if alone else ["code", *keys])
        for key in keys:
            assert list(said[key]) == (["label"] if alone else ["text", "label"])
            assert said[key]["label"] in LABELS


def test_random_weights_keep_the_schema_and_are_believed_about_single_posts_alone(
    lab: Lab, gguf: Path
) -> None:
    """They repeat no code: of several posts nothing is believed, and each is asked about alone."""
    lab.texts(known_posts(18))
    (model,) = lab.label(policy=PATIENT, batch_size=6).details["models"]
    answers = answers_of(lab)
    check_form(answers)
    assert len(lab.labels()) == 18
    assert {answer["batch_size"] for answer in answers if answer["is_valid"]} == {1}
    assert {answer["error"] for answer in answers} <= {None, "not_read", "truncated"}
    assert any("asked about alone" in notice for notice in model["notices"])
    digest = subprocess.run(["sha256sum", gguf], capture_output=True, check=True, text=True)
    assert {answer["model_digest"] for answer in answers} == {f"sha256:{digest.stdout.split()[0]}"}
    assert {answer["endpoint"].split("@")[0] for answer in answers} == {"llama.cpp"}


def test_injected_instructions_change_neither_schema_nor_keys_of_random_weights(lab: Lab) -> None:
    posts = known_posts(len(HOSTILE) * 5)
    texts = [f"{text} {n}" for n, text in enumerate(HOSTILE * 5)]
    lab.texts([type(posts[0])(text) for text in texts])
    lab.label(policy=PATIENT, batch_size=6)
    check_form(answers_of(lab))


def test_a_killed_server_is_started_again_and_nothing_is_lost(
    lab: Lab, server: LocalServer
) -> None:
    told: list[str] = []
    keeper = threading.Thread(target=server.keep_running, args=(told.append,))
    keeper.start()
    lab.texts(known_posts(POSTS))
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if not killed and server.pid and progress.done >= POSTS // 4:
            killed.append(server.pid)
            os.kill(server.pid, signal.SIGKILL)

    details = lab.label(policy=PATIENT, batch_size=1, progress=kill).details
    server.stop()
    keeper.join(100)
    assert killed, "it was killed half-way"
    assert told == ["llama.cpp was ended by signal 9; starting it again"]
    assert details["labelled"] + details["failed"] == POSTS
    assert len(lab.labels()) >= POSTS - 2
    answers_of(lab)


def test_without_restart_the_run_stops_and_another_goes_on_with_random_weights(
    lab: Lab, server: LocalServer
) -> None:
    lab.texts(known_posts(POSTS))

    def kill(progress: Progress) -> None:
        if progress.done >= POSTS // 4 and server.pid:
            os.kill(server.pid, signal.SIGKILL)

    with pytest.raises(EndpointUnreachable, match="run again to go on"):
        lab.label(policy=Policy(patience=1), batch_size=1, progress=kill)
    server.start()
    details = lab.label(policy=PATIENT, batch_size=1).details
    assert details["models"][0]["already_known"] >= POSTS // 4
    assert details["labelled"] + details["failed"] == POSTS
    assert len(lab.labels()) >= POSTS - 2
    answers_of(lab)


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
    process.communicate(timeout=100)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_a_server_whose_starter_was_killed_ends_by_itself(gguf: Path, tmp_path: Path) -> None:
    command = (
        "import sys, time; from pathlib import Path;"
        "from bsky_assets.labelling.serving.local_server import prepare, serving;"
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
    deadline = time.monotonic() + 120
    while is_running(pid):
        assert time.monotonic() < deadline, "it goes on without anybody to stop it"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def smollm2() -> Iterator[LocalServer]:
    with serving(prepare(packaged_model(), port=0, parallel=1, context=2_048, threads=1)) as real:
        yield real


def real_lab(folder: Path, server: LocalServer, posts: int) -> Lab:
    """English posts of the sandbox, to be labelled by SmolLM2 with a prompt that it reads soon."""
    world = World.generate(0, day=DAY, events=100 + 40 * posts)
    english = (post.record["text"] for post in world.posts if post.record.get("langs") == ["en"])
    prompt = folder / "prompt"
    prompt.mkdir()
    own = (PROMPTS / "sociopolitical.toml").read_text("utf-8")
    one_file = re.sub(r"^text = .*$", 'text = ["task.md"]', own, flags=re.MULTILINE)
    (prompt / "sociopolitical.toml").write_text(one_file, "utf-8")
    (prompt / "task.md").write_text(SHORT_PROMPT, "utf-8")
    options = {
        "llm_models": (server.served.name,),
        "llm_concurrency": 1,
        "llm_batch_size": 1,
        "llm_prompt": prompt,
    }
    lab = Lab(folder, server.url, options)
    texts = list(dict.fromkeys(english))[:posts]
    assert len(texts) == posts
    lab.filtered(filtered_post(number, text) for number, text in enumerate(texts))
    return lab


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("posts", [4, pytest.param(300, marks=pytest.mark.real_llm)])
def test_a_real_model_labels_posts_and_killed_half_way_answers_nothing_twice(
    tmp_path: Path, smollm2: LocalServer, posts: int
) -> None:
    lab = real_lab(tmp_path, smollm2, posts)

    def kill(progress: Progress) -> None:
        if progress.done >= posts // 2 and smollm2.pid:
            os.kill(smollm2.pid, signal.SIGKILL)

    with pytest.raises(EndpointUnreachable, match="run again to go on"):
        lab.label(policy=Policy(patience=1), progress=kill)
    smollm2.start()
    (model,) = lab.label(policy=PATIENT).details["models"]
    assert posts // 2 <= model["already_known"] < posts
    assert len(lab.labels()) == posts
    answers = answers_of(lab)
    assert len(answers) == len({answer["question_hash"] for answer in answers}) == posts
    assert {answer["finish_reason"] for answer in answers} == {"stop"}, "it ends by itself"
    check_form(answers)
    assert model["preflight"]["context_tokens"] == 2_048
    sure = [row["confidence"] for row in lab.rows()]
    assert all(one is not None and 0 < one <= 1 for one in sure), "it says how sure it is"
    assert len({*sure}) > 1


@pytest.mark.timeout(900)
def test_a_real_model_that_takes_posts_for_one_another_gets_each_alone(
    tmp_path: Path, smollm2: LocalServer
) -> None:
    lab = real_lab(tmp_path, smollm2, 6)
    (model,) = lab.label(policy=PATIENT, batch_size=2).details["models"]
    assert len(lab.labels()) == 6
    assert any("asked about alone" in notice for notice in model["notices"])
    check_form(answers_of(lab))


def test_a_real_model_is_not_sent_more_than_its_context_takes(
    tmp_path: Path, smollm2: LocalServer
) -> None:
    lab = real_lab(tmp_path, smollm2, 1)
    lab.filtered([filtered_post(0, "The council met again about the very long budget. " * 200)])
    details = lab.label(policy=PATIENT).details
    assert (details["labelled"], details["failed"]) == (0, 1)
    (failed,) = lab.rows()
    assert failed["error"].startswith("too_long: 400")


def test_a_base_model_is_refused_in_one_line(gguf: Path, tmp_path: Path) -> None:
    base = write_random_gguf(tmp_path / "base.gguf", template=None)
    with pytest.raises(CannotServe, match="no chat template: a base model") as raised:
        prepare(base, port=0, parallel=1, context=512)
    assert "\n" not in str(raised.value)
    assert prepare(gguf, port=0, parallel=1, context=512).threads


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
