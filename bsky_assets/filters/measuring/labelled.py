"""Files of labelled texts: which column is the text, which the label, and what a label means.

What belongs here: reading CSV and TSV as people publish them. What does not: judging texts.
"""

import csv
import hashlib
import html
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bsky_assets.errors import UserError
from bsky_assets.filters.registry import declaration, declared

_TEXT_NAMES = (
    "text", "tweet", "message", "comment", "sms", "test_case", "content", "post", "body",
    "sentence", "comment_text", "utterance", "v2",
)  # fmt: skip
_LABEL_NAMES = (
    "label", "class", "category", "label_gold", "is_toxic", "toxic", "target", "labels", "spam",
    "hate", "hate_speech", "is_spam", "is_hate", "is_nsfw", "nsfw", "language", "lang",
    "annotation", "y", "v1",
)  # fmt: skip
_GROUP_NAMES = ("functionality", "target_ident", "group", "source", "topic", "subset", "domain")

_STOP_ANYWHERE = {"1", "1.0", "true", "yes", "positive", "stop"}
_PASS = {
    "0", "0.0", "false", "no", "negative", "pass", "ham", "legit", "legitimate", "none", "neither",
    "normal", "neutral", "clean", "safe", "sfw", "ok", "benign", "other",
}  # fmt: skip
_NEGATIONS = ("not ", "non ", "no ", "non", "not")
_ENGLISH = {"en", "eng", "english", "__label__en"}
_DAVIDSON = {"hate_speech", "offensive_language", "neither", "class"}
_DAVIDSON_CLASSES = {"0": "hate", "1": "offensive", "2": "neither"}

_MOST_LABELS = 400
_UNDECODABLE = re.compile("[\ud800-\udfff]")
"""What stands for bytes that are no UTF-8."""
csv.field_size_limit(10_000_000)


class UnreadableData(UserError):
    """A file of labelled texts cannot be read; the message says what to name."""


@dataclass(frozen=True)
class LabelledTexts:
    """Texts, what a filter should do with each, and the groups that they are in."""

    name: str
    sha256: str
    texts: Sequence[str]
    labels: Sequence[str]
    stop: Sequence[bool]
    groups: Mapping[str, Sequence[str]]
    """By name of a column, the group of each text."""
    left_out: Mapping[str, int]
    """How many rows were not taken, by why."""

    @property
    def stop_labels(self) -> tuple[str, ...]:
        """The labels that mean: stop."""
        return tuple(
            sorted({label for label, stop in zip(self.labels, self.stop, strict=True) if stop})
        )


def read_labelled(
    path: Path,
    filter_name: str,
    *,
    text: str | None = None,
    label: str | None = None,
    stop: Sequence[str] = (),
    group: Sequence[str] = (),
) -> LabelledTexts:
    """Read a CSV or TSV file, with or without a line of column names.

    Columns are found by name, else by content; `text`, `label` and `group` name them. `stop`
    gives the labels that mean that the filter should stop a text, where words like spam, hateful
    or 1 do not tell.

    Raises:
        UnreadableData: a column cannot be found, or a label does not say what it means.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableData(f"cannot read {path}: {error.strerror}") from error
    columns, left_out = _columns(content.decode("utf-8-sig", errors="surrogateescape"), path)
    label_column = _label_column(columns, label, path)
    text_column = _text_column(columns, text, label_column, path)
    labels = [value.strip() for value in columns[label_column]]
    if columns.keys() >= _DAVIDSON and label_column == "class":
        labels = [_DAVIDSON_CLASSES.get(value, value) for value in labels]
    kept = [place for place, value in enumerate(columns[text_column]) if value.strip()]
    left_out["blank"] += len(labels) - len(kept)
    meaning = _meaning(Counter(labels[place] for place in kept), filter_name, stop, path)
    groups = [*group] or [name for name in _GROUP_NAMES if name in columns]
    if missing := [name for name in groups if name not in columns]:
        raise UnreadableData(f"{path.name} has no column {missing[0]!r}: {', '.join(columns)}")
    return LabelledTexts(
        path.name,
        hashlib.sha256(content).hexdigest(),
        [html.unescape(columns[text_column][place]) for place in kept],
        [labels[place] for place in kept],
        [meaning[labels[place]] for place in kept],
        {
            name: [columns[name][place] for place in kept]
            for name in groups
            if name not in (label_column, text_column)
        },
        {why: count for why, count in left_out.items() if count},
    )


def _columns(content: str, path: Path) -> tuple[dict[str, list[str]], Counter[str]]:
    """The columns of a file by name, or by number from 1, and rows left out.

    A row ends at a line feed or carriage return outside quotes, and nowhere else.
    """
    head = content.split("\n", 1)[0]
    if not content.strip():
        raise UnreadableData(f"{path} is empty")
    delimiter = max("\t,;", key=head.count)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, quoting=quoting))
    names = [name.strip().lower() for name in rows[0]]
    if not set(names) & {*_TEXT_NAMES, *_LABEL_NAMES}:
        names = [str(number) for number in range(1, len(names) + 1)]
    else:
        rows = rows[1:]
    names = [name or f"column {place}" for place, name in enumerate(names, start=1)]
    flaws = [_flaw(row, len(names)) for row in rows]
    whole = [row for row, flaw in zip(rows, flaws, strict=True) if flaw is None]
    if len(names) < 2 or not whole:
        raise UnreadableData(f"{path} has no rows with a text and a label in columns of their own")
    columns = {
        name: list(values) for name, values in zip(names, zip(*whole, strict=True), strict=True)
    }
    return columns, Counter(flaw for flaw in flaws if flaw)


def _flaw(row: list[str], columns: int) -> str | None:
    """Why a row cannot be taken, if it cannot."""
    if not any(value.strip() for value in row):
        return "blank"
    if len(row) != columns:
        return "ragged"
    return "undecodable" if any(map(_UNDECODABLE.search, row)) else None


def _label_column(columns: dict[str, list[str]], wanted: str | None, path: Path) -> str:
    if wanted is not None:
        return _named(columns, wanted, path)
    for name in _LABEL_NAMES:
        if name in columns and len(set(columns[name])) <= _MOST_LABELS:
            return name
    names = [one.name for one in declared()]
    candidates = [
        name
        for name, values in columns.items()
        if 1 < len(distinct := {value.strip().lower() for value in values}) <= _MOST_LABELS
        and any(_meaning_of(value, name_of) is not None for value in distinct for name_of in names)
    ]
    if not candidates:
        raise UnreadableData(
            f"{path.name} has no column of labels that is known by name; name it with --label: "
            f"{', '.join(columns)}"
        )
    return candidates[0]


def _text_column(
    columns: dict[str, list[str]], wanted: str | None, label_column: str, path: Path
) -> str:
    if wanted is not None:
        return _named(columns, wanted, path)
    for name in _TEXT_NAMES:
        if name in columns and name != label_column:
            return name
    others = [name for name in columns if name != label_column]
    return max(others, key=lambda name: sum(map(len, columns[name])))


def _named(columns: dict[str, list[str]], wanted: str, path: Path) -> str:
    if wanted.lower() not in columns:
        raise UnreadableData(f"{path.name} has no column {wanted!r}: {', '.join(columns)}")
    return wanted.lower()


def _meaning(
    counts: Counter[str], filter_name: str, stop: Sequence[str], path: Path
) -> dict[str, bool]:
    """Whether each label means that the filter should stop a text."""
    if stop:
        if unknown := set(stop) - counts.keys():
            raise UnreadableData(
                f"{path.name} has no label {unknown.pop()!r}: {', '.join(sorted(counts))}"
            )
        return {label: label in stop for label in counts}
    meaning = {label: _meaning_of(label, filter_name) for label in counts}
    unclear = sorted(label for label, means in meaning.items() if means is None)
    if unclear or len(set(meaning.values())) < 2:
        shown = ", ".join(repr(label) for label in (unclear or sorted(counts))[:8])
        raise UnreadableData(
            f"the labels of {path.name} do not say what {filter_name} should stop ({shown}); "
            "name those that it should with --stop"
        )
    return {label: bool(means) for label, means in meaning.items()}


def _meaning_of(label: str, filter_name: str) -> bool | None:
    plain = " ".join(label.lower().replace("_", " ").replace("-", " ").split())
    if filter_name == "english":
        return plain not in _ENGLISH
    one = declaration(filter_name)
    stopped = {*_STOP_ANYWHERE, *(one.data_stop if one else ())}
    if plain in stopped:
        return True
    if (
        plain in _PASS
        or (one and plain in one.data_pass)
        or any(
            plain.startswith(negation) and plain.removeprefix(negation).strip() in stopped
            for negation in _NEGATIONS
        )
    ):
        return False
    return None
