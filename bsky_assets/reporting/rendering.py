"""Pages as HTML: how each kind of value is written, and what of it becomes a link.

What belongs here: escaping, formats, bounds of what is shown. Everything that came from the
network is taken for text; templates escape, and what is marked as safe is put together here.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby, islice
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from bsky_assets.reporting.page import Block, Code, Seconds, Share, Shift, Value
from bsky_assets.reporting.palette import DARK, LIGHT
from bsky_assets.storage.coverage import hours

_MOST_CHARACTERS = 600
_MOST_ROWS = 60
_WHOLE_CHARACTERS = 48
"""An address that is no longer than this is shown whole."""
_SPECIAL = re.compile(
    r"at://(?P<did>did:[a-z]+:[A-Za-z0-9._:%-]{1,250})/app\.bsky\.feed\.post/"
    r"(?P<rkey>[A-Za-z0-9._~:-]{0,511}[A-Za-z0-9_~-])"
    r"|`(?P<code>[^`]{1,200})`"
)


def render(template: str, timezone: ZoneInfo, **content: Any) -> str:
    """The page of a template of this package, in which times are of `timezone`."""
    return _environment(timezone).get_template(template).render(timezone=timezone, **content)


@cache  # templates are compiled once a process
def _environment(timezone: ZoneInfo) -> Environment:
    environment = Environment(
        loader=PackageLoader("bsky_assets.reporting"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "value": lambda value: written(value, timezone),
        "bounded": bounded,
        "runs": _runs,
    }
    environment.globals |= {"light": LIGHT, "dark": DARK, "svg": Markup}
    return environment


def written(value: Value, timezone: ZoneInfo) -> Markup:
    """A value as HTML."""
    if isinstance(value, datetime):
        there = value.astimezone(timezone)
        return Markup('<time datetime="{}">{}</time>').format(
            there.isoformat(timespec="seconds"), f"{there:%Y-%m-%d %H:%M}"
        )
    return _WRITERS[type(value)](value)


def as_text(value: Value) -> str:
    """A value, other than an instant, as plain text."""
    return written(value, ZoneInfo("UTC")).striptags()


def bounded(rows: Iterable[Any], most: int = _MOST_ROWS) -> list[Any]:
    """The first of `rows`: no page grows with what a stranger sends."""
    return list(islice(rows, most))


def _runs(blocks: Iterable[Block]) -> Iterator[tuple[str, list[Block]]]:
    """Blocks that follow each other and are of one kind, so that pictures stand side by side."""
    return ((kind, list(run)) for kind, run in groupby(blocks, key=lambda block: block.kind))


def _text(text: str) -> Markup:
    return Markup("").join(_pieces(_cut(text)))


def _pieces(text: str) -> Iterator[Markup]:
    """Text, with links to posts and with what stands in backticks set apart."""
    end = 0
    for found in _SPECIAL.finditer(text):
        yield escape(text[end : found.start()])
        end = found.end()
        if found["code"]:
            yield _code(found["code"])
        else:
            yield _link(found["did"], found["rkey"], found[0])
    yield escape(text[end:])


def _link(did: str, rkey: str, uri: str) -> Markup:
    """A link to a post; of a long address the middle is not shown, but on pointing at it."""
    shown = uri if len(uri) <= _WHOLE_CHARACTERS else f"at://…/{rkey[-16:]}"
    return Markup(
        '<a href="https://bsky.app/profile/{}/post/{}" title="{}" rel="noreferrer">{}</a>'
    ).format(did, rkey, uri, shown)


def _code(text: str) -> Markup:
    """A name; a short one stays on its line."""
    whole = Markup(' class="whole"') if len(text) <= _WHOLE_CHARACTERS // 2 else ""
    return Markup("<code{}>{}</code>").format(whole, _cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _share(share: Share) -> Markup:
    value = Markup("<b>{}</b>").format(f"{share.value:.1%}")
    if share.low is None or share.high is None:
        return value
    return value + _interval(f"{share.low:.1%}", f"{share.high:.1%}")


def _shift(shift: Shift) -> Markup:
    value, low, high = (f"{100 * each:+.2f}" for each in (shift.value, shift.low, shift.high))
    return Markup("<b>{}</b>").format(value) + _interval(low, high)


def _interval(low: str, high: str) -> Markup:
    return Markup(' <span class="interval">({} to {})</span>').format(low, high)


def _seconds(span: Seconds) -> Markup:
    seconds = span.value
    said = f"{seconds:.2g} s" if seconds < 60 else hours(timedelta(seconds=seconds))
    return Markup("<b>{}</b>").format(said)


_WRITERS: dict[type, Callable[[Any], Markup]] = {
    int: lambda number: Markup("<b>{}</b>").format(f"{number:,}"),
    Share: _share,
    Shift: _shift,
    Seconds: _seconds,
    Code: lambda code: _code(code.text),
    date: lambda day: escape(day.isoformat()),
    str: _text,
    type(None): lambda _: Markup("–"),
}
