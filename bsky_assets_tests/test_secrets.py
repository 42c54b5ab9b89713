"""A user name and password in a URL are for its host, and nobody reads them anywhere else."""

import re
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
import stamina
from aiohttp import web
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bsky_assets.commands.variables import _line
from bsky_assets.contracts import LlmLabel
from bsky_assets.launching import forwarding
from bsky_assets.launching.work import ROWS
from bsky_assets.settings import (
    InvalidSettings,
    LauncherName,
    Settings,
    as_variable,
    get_settings,
    host_of,
    is_secret,
    variable_name,
    without_credentials,
)
from bsky_assets_tests.support.command import Done, run
from bsky_assets_tests.support.sandbox_day import SandboxDay, present_day
from bsky_assets_tests.support.serving import served
from bsky_sandbox.server import Sandbox

URLS = {name for name in Settings.model_fields if name.endswith("_url")} - {"lake_url"}
"""Every setting that is a URL: a further one is tested with them."""
NO_CREDENTIALS = {"lake_endpoint_url"}


def secret_of(name: str) -> str:
    return f"hunter2-{name}"


def with_password(url: str, name: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://spy-{name}:{secret_of(name)}@{rest}"


def found_in(folder: Path) -> set[str]:
    """The files below `folder` with any of the passwords in them, or in their names."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if b"hunter2-" in path.name.encode() or (path.is_file() and is_in(path.read_bytes()))
    }


def is_in(content: bytes) -> bool:
    return b"hunter2-" in content or b"spy-" in content


def environment(day: SandboxDay, data: Path, host: str = "") -> dict[str, str]:
    """Every URL of the sandbox with a user and password, at `host` instead if one is given."""
    variables = {"BSKY_DATA_DIR": str(data), "BSKY_SYNC_MAX_EVENTS": "600"}
    for name in URLS:
        if url := day.environment.get(variable_name(name)):
            scheme, _, rest = url.partition("://")
            variables[variable_name(name)] = with_password(f"{scheme}://{host or rest}", name)
    return variables


def require_unseen(folder: Path, *outputs: Done) -> None:
    told = "".join(done.stdout + done.stderr for done in outputs)
    assert not is_in(told.encode()), re.findall(r".*(?:hunter2|spy)-.*", told)
    assert found_in(folder) == set()


def test_passwords_in_urls_stand_in_no_file_and_no_output(tmp_path: Path) -> None:
    with Sandbox.start(seed=4, day=present_day(), events=600) as sandbox:
        day = SandboxDay(sandbox, tmp_path / "data", {})
        variables = environment(day, day.data)
        outputs = [
            day.command("materialize", **variables),
            day.command("export", str(tmp_path / "export"), **variables),
            day.command("status", **variables),
        ]
    assert [done.returncode for done in outputs] == [0, 0, 0], outputs[0].stderr
    require_unseen(tmp_path, *outputs)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sync", "feeds"], "BSKY_APPVIEW_URL"),
        (["sync", "firehose", "--max-seconds", "2"], "BSKY_RELAY_URL"),
        (["materialize", "--select", 'key:"llm_labels"'], "BSKY_LLM_BASE_URL"),
    ],
)
def test_passwords_in_urls_stand_in_no_word_of_a_failure(
    sandbox_day: SandboxDay, tmp_path: Path, arguments: list[str], says: str
) -> None:
    there = sandbox_day.copied(tmp_path / "data")
    variables = environment(there, there.data, "127.0.0.1:9") | {"BSKY_LLM_MODELS": "another"}
    with stamina.set_testing(True, attempts=2):  # without waiting
        failed = there.command(*arguments, **variables)
    assert failed.returncode == 1
    assert says in failed.stderr
    require_unseen(tmp_path, failed)


def test_a_password_in_a_url_is_for_the_host_that_refuses_it_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen = []

    async def refuse(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"error": "AuthMissing", "message": "no"}, status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    with served(app) as url:
        for command, name in (("feeds", "appview_url"), ("firehose", "relay_url")):
            asked = with_password(url.replace("http", "ws") if name == "relay_url" else url, name)
            status, out, error = run(
                monkeypatch, capsys, *("sync", command),
                BSKY_DATA_DIR=str(tmp_path), **{variable_name(name): asked},
            )  # fmt: skip
            assert status == 1
            assert host_of(url) in error
            assert not is_in((out + error).encode())
    assert len(set(seen)) == 2
    assert all(header.startswith("Basic ") for header in seen)
    assert found_in(tmp_path) == set()


@pytest.mark.parametrize("name", sorted(URLS - NO_CREDENTIALS))
def test_a_url_with_a_password_is_masked_and_goes_as_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    scheme = "ws" if name in ("relay_url", "jetstream_url") else "http"
    url = with_password(f"{scheme}://host.test:81/path", name)
    variables = {variable_name(name): url, "BSKY_EMBEDDINGS_MODEL": "all-minilm"}
    _, out, _ = run(monkeypatch, capsys, "config", **variables)
    assert f"{scheme}://**********@host.test:81" in out
    assert not is_in(out.encode())
    settings = get_settings()
    assert not is_in(str(forwarding.variables(settings, LlmLabel.asset)).encode())
    if name in forwarding.needed(LlmLabel.asset):
        assert forwarding.secrets(settings, LlmLabel.asset)[variable_name(name)] == url


@pytest.mark.parametrize("name", sorted(URLS))
@pytest.mark.parametrize(
    "url", ["http://spy-x:hunter2-x/y@host", "ws://spy-x:hunter2-x", "hunter2-x"]
)
def test_a_url_that_is_none_is_refused_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(variable_name(name), url)
    get_settings.cache_clear()
    with pytest.raises(InvalidSettings) as refused:
        get_settings()
    assert not is_in(str(refused.value).encode())


@pytest.mark.parametrize(
    "feeds", ["a=https://spy-x:hunter2-x@host", "https://spy-x:hunter2-x@host"]
)
def test_a_feed_of_news_has_no_password_in_it(monkeypatch: pytest.MonkeyPatch, feeds: str) -> None:
    monkeypatch.setenv("BSKY_NEWS_FEEDS", feeds)
    get_settings.cache_clear()
    with pytest.raises(InvalidSettings) as refused:
        get_settings()
    assert not is_in(str(refused.value).encode())


def test_an_endpoint_of_object_storage_has_no_key_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BSKY_LAKE_ENDPOINT_URL", "http://spy-x:hunter2-x@host")
    with pytest.raises(InvalidSettings, match="AWS_ACCESS_KEY_ID"):
        get_settings()


@pytest.mark.parametrize(
    ("url", "host", "bare"),
    [
        ("wss://bsky.network", "bsky.network", "wss://bsky.network"),
        ("https://a:b@Host.test:8/x", "host.test:8", "https://Host.test:8/x"),
        ("https://a%40b:c%2F@host.test", "host.test", "https://host.test"),
        ("http://user@[::1]:80", "[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_host_is_named_without_who_asks_it(url: str, host: str, bare: str) -> None:
    assert (host_of(url), without_credentials(url)[0]) == (host, bare)


VALUES: dict[str, Any] = {
    "llm_models": ("llama3.1:8b", "qwen 2"),
    "trusted_labelers": (),
    "languages": ("en", "es"),
    "news_pages": ("one.test", "two.test"),
    "launcher_assets": ("llm_labels",),
    "slurm_args": ("--partition=short", "--comment=it's # here", "$HOME"),
    "slurm_export": ("A", "B"),
    "ray_options": {"entrypoint_num_cpus": 2, "metadata": {"a": "it's"}},
    "feeds": {"one": "at://did:plc:a/x/y", "two": "at://did:plc:b/x/y"},
    "news_feeds": {"one": "https://one.test/rss?a=b", "two:left": "articles.jsonl"},
    "handle": "a 'b' #c\\",
    "jetstream_url": None,
    "memory_limit": "2.5 GB",
    "live": True,
    "llm_prompt_token_price": 0.25,
}


def test_what_config_writes_is_read_back(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, **VALUES)
    written = tmp_path / ".env"
    lines = (_line(name, getattr(settings, name)) for name in Settings.model_fields)
    written.write_text("\n".join(lines))
    assert Settings(_env_file=written) == settings


def test_every_setting_of_several_values_is_among_them() -> None:
    several = {
        name
        for name, value in Settings(_env_file=None, **VALUES)
        if isinstance(value, tuple | dict | list)
    }
    assert several - VALUES.keys() == set()


@pytest.mark.parametrize("asset", sorted(ROWS))
def test_what_a_launcher_forwards_is_read_back_as_config_writes_it(
    asset: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {**VALUES, "llm_api_key": SecretStr("k, '=\\ "), "feeds": {}, "data_dir": tmp_path}
    settings = Settings(_env_file=None, **given)
    forwarded = {**forwarding.variables(settings, asset), **forwarding.secrets(settings, asset)}
    for name, text in forwarded.items():
        monkeypatch.setenv(name, text)
    far = Settings(_env_file=None)
    for name in forwarding.needed(asset):
        assert getattr(far, name) == getattr(settings, name), name
        if not is_secret(value := getattr(settings, name)) and value is not None:
            written = dotenv_values(stream=StringIO(_line(name, value)))
            told = forwarded.get(variable_name(name), as_variable(name, value))
            assert written == {variable_name(name): told}


def test_options_of_an_engine_do_not_go_with_its_jobs() -> None:
    own = {
        name for name in Settings.model_fields if name.startswith((*get_args(LauncherName), "k8s_"))
    }
    assert own >= {"slurm_args", "ray_options", "k8s_pod"}
    assert own.isdisjoint(forwarding.needed(LlmLabel.asset))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_text_of_a_setting_is_read_back(text: str) -> None:
    line = _line("handle", text)
    if "${" not in text:  # which python-dotenv takes for another variable
        assert dotenv_values(stream=StringIO(line)) == {"BSKY_HANDLE": text}
    assert as_variable("handle", text) == text
