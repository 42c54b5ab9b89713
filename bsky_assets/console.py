"""The terminal: where commands print to, and what keeps strangers' text from acting on it.

Posts, names of files and replies of servers are printed too, so whatever goes through these
consoles can move no cursor, set no title and turn no text around.
"""

import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

_ACTING = re.compile(
    # Control characters but tab and line feed, the signs that turn text around, line separators
    # of Unicode, and halves of characters, which cannot be written at all.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """`text` with what would act on a terminal spelt out, an escape character as `\\x1b`."""
    return _ACTING.sub(lambda found: ascii(found[0])[1:-1], text)


def in_json(text: str) -> str:
    """JSON that says the same, with what would act on a terminal in JSON's own spelling."""
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: object) -> str:
    """`text` on one line, with nothing in it that acts on a terminal."""
    return printable(" ".join(str(text).split()))


def cell(text: object) -> str:
    """`text` for a cell of a table: on one line, and nothing in it is markup."""
    return escape(one_line(text))


SILENCE_SECONDS = 4.0
"""After so long without a line, one says that it goes on."""


class _Silence:
    """What goes on, and since when nothing was printed of it."""

    def __init__(self) -> None:
        self._doing, self._began = "", 0.0
        self._is_told = False
        self.broken_at = time.monotonic()

    def doing(self, what: str) -> None:
        """Name what goes on from now on."""
        self._doing, self._began = one_line(what), time.monotonic()

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Say in a line that it goes on, whenever nothing was printed for a while."""
        self.doing(what)
        if self._is_told:
            yield
            return
        self._is_told = True
        ended = threading.Event()
        telling = threading.Thread(target=self._tell, args=[ended], daemon=True)
        telling.start()
        try:
            yield
        finally:
            ended.set()
            telling.join()
            self._is_told = False

    def _tell(self, ended: threading.Event) -> None:
        while not ended.wait(self.broken_at + SILENCE_SECONDS - time.monotonic()):
            if time.monotonic() >= self.broken_at + SILENCE_SECONDS:
                seconds = time.monotonic() - self._began
                stderr.print(f"  {self._doing}: {seconds:.0f} s so far", markup=False)


silence = _Silence()


class _Terminal(Console):
    """Prints text as text, whoever wrote it."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        silence.broken_at = time.monotonic()
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


stdout: Console = _Terminal(highlight=False)
stderr: Console = _Terminal(stderr=True, highlight=False)


def echo(line: object) -> None:
    """Print a line as it is, however long: it is for people, and for programs that read it."""
    stdout.print(str(line), markup=False, soft_wrap=True)


def echo_lines(lines: Iterable[object]) -> None:
    """Print each of `lines`."""
    for line in lines:
        echo(line)


def echo_json(value: object) -> None:
    """Print a value as JSON, indented."""
    print(in_json(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()))


def echo_err(line: object) -> None:
    """Print a line as it is beside what a command gives: how far it is, or what is wrong."""
    stderr.print(str(line), markup=False, soft_wrap=True)


def tell_retries() -> None:
    """Let what is tried again be told in a line each, in this process."""
    from stamina.instrumentation import set_on_retry_hooks

    set_on_retry_hooks([_tell_retry])


def _tell_retry(details: Any) -> None:
    again = f"{one_line(details.caused_by)}; trying again in {details.wait_for:.1f} s"
    stderr.print(again, markup=False, soft_wrap=True)
