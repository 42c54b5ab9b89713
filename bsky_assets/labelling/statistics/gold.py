"""Files with labels by people: which columns they are in, and what their values mean.

Files come from many hands. A column's role is read off its name: words like `gold` or `human`
mark labels by people, words like `predicted` or `model` those of a model, and an unmarked label
column is one by people. Values that mean the same are brought to one spelling; any others are
kept as they are, so that files about other labels can be scored too.
What does not belong here: scoring; see `evaluation`.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import Codebook, CodebookLabel
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import IDEOLOGIES, NONE
from bsky_assets.labelling.statistics.sampling import unguarded

POLITICS, IDEOLOGY, OTHER = "is_sociopolitical", "political_ideology", "label"

_GOLD = frozenset({
    "gold", "true", "truth", "human", "manual", "manually", "annotator", "annotated",
    "annotation", "hand", "reference", "actual", "expected", "expert", "coder",
})  # fmt: skip
_PREDICTED = frozenset({
    "predicted", "pred", "predict", "prediction", "predictions", "model", "llm", "machine",
    "output", "assigned",
})  # fmt: skip
_FILLER = frozenset(
    {"y", "is", "label", "labels", "class", "category", "classification", "value", "final"}
)
_VARIABLES = {
    POLITICS: ("sociopolitical", "socio_political", "political", "politics"),
    IDEOLOGY: ("political_ideology", "ideology", "political_leaning", "leaning", "lean"),
    OTHER: ("",),
}
_URI = ("uri", "post_uri", "at_uri", "post_id", "postid")
_TEXT = ("text", "post_text", "post", "content", "body", "tweet", "message", "sentence", "comment")

_YES = frozenset({"true", "t", "yes", "y", "1", "1.0", "political", "sociopolitical"})
_NO = frozenset({
    "false", "f", "no", "n", "0", "0.0", "nonpolitical", "notpolitical", "nonsociopolitical",
    "notsociopolitical", "apolitical",
})  # fmt: skip
_LEANINGS = {
    **{name: name for name in (*IDEOLOGIES, NONE)},
    "leftleaning": "left",
    "rightleaning": "right",
    "center": "moderate",
    "centre": "moderate",
    "centrist": "moderate",
    "null": NONE,
    "na": NONE,
}


class UnusableGold(UserError):
    """The file cannot be read, or it is not clear which columns are meant."""


class NoSuchLabels(UnusableGold):
    """The file has no labels by people for a codebook."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One thing that was labelled: its columns in the file, and the values there."""

    name: str
    """POLITICS, IDEOLOGY, or OTHER for labels of any other kind."""
    gold_column: str
    predicted_column: str | None
    gold: tuple[str | None, ...]
    """One for each row; None where the cell is empty."""
    predicted: tuple[str | None, ...] | None


@dataclass(frozen=True, slots=True)
class Gold:
    """A file of labels by people."""

    variables: tuple[Variable, ...]
    uris: tuple[str, ...] | None
    texts: tuple[str, ...] | None
    samples: tuple[str, ...]
    """Names of the samples that `labels export` drew; empty for a file from elsewhere."""


def read_gold(
    path: Path,
    *,
    gold: str | None = None,
    predicted: str | None = None,
    row: type[Row] = LlmLabel,
) -> Gold:
    """Read the labels in the CSV or TSV file at `path`; the two columns can be named.

    Those of a codebook (`row`) are in the column of its name, unless it is named.

    Raises:
        UnusableGold: there is no such file or column, or no column is seen to hold labels.
        NoSuchLabels: there are none for the codebook.
    """
    columns = _read_columns(path)
    for wanted in (gold, predicted):
        if wanted is not None and wanted not in columns:
            raise UnusableGold(
                f"{path.name} has no column {wanted!r}; it has {_listed([*columns])}"
            )
    if issubclass(row, CodebookLabel):
        variables = _of_codebook(path, columns, row.codebook, gold, predicted)
    elif gold:
        variables = _named(columns, gold, predicted)
    else:
        variables = _detected(path, columns, predicted)
    return _gold(columns, variables)


def read_arm(path: Path) -> Gold:
    """Read a file of labels by one hand, a model's as a rule: `gold` then holds these.

    Raises:
        UnusableGold: there is no such file, or no one column is seen to hold the labels.
    """
    columns = _read_columns(path)
    variables: list[Variable] = []
    found = _by_variable(columns)
    for name in _VARIABLES:
        roles = found.get(name, {})
        named = roles.get("predicted") or roles.get("unmarked") or roles.get("gold") or []
        if len(named) > 1:
            raise UnusableGold(
                f"{path.name} has more than one column for {name}: {_listed(named)}; keep one"
            )
        if named and not (name == OTHER and variables):
            variables.append(_variable(columns, name, named[0], None))
    if not variables:
        raise UnusableGold(
            f"no column of {path.name} is seen to hold labels; it has {_listed([*columns])}: call "
            f"it {POLITICS}, {IDEOLOGY} or {OTHER}"
        )
    return _gold(columns, tuple(variables))


def _gold(columns: dict[str, list[str]], variables: tuple[Variable, ...]) -> Gold:
    return Gold(
        variables=variables,
        uris=_first_of(columns, _URI),
        texts=_first_of(columns, _TEXT),
        samples=tuple(sorted({*columns.get("sample", ())} - {""})),
    )


def _read_columns(path: Path) -> dict[str, list[str]]:
    header, rows = _read_rows(path)
    return {
        name: [row[number] if number < len(row) else "" for row in rows]
        for number, name in enumerate(header)
    }


def _of_codebook(
    path: Path,
    columns: dict[str, list[str]],
    codebook: Codebook,
    gold: str | None,
    predicted: str | None,
) -> tuple[Variable, ...]:
    """The labels for `codebook`, as it spells them; whatever is none of them is left out."""
    name = gold or codebook.name
    if name not in columns:
        raise NoSuchLabels(f"{path.name} has no column {name!r}; it has {_listed([*columns])}")
    named = [columns[name], *([columns[predicted]] if predicted else [])]
    answer = codebook.answer
    known = {value.casefold(): value for value in answer.values}
    if answer.type == "boolean":
        known |= {"true": "yes", "false": "no", "1": "yes", "0": "no"}
    plain = {cell.strip() for column in named for cell in column if cell.strip()}
    spelt = _mapped(named, {cell: known.get(cell.casefold(), cell) for cell in plain})
    return (Variable(codebook.name, name, predicted, spelt[0], spelt[1] if predicted else None),)


def _read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        content = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        content = path.read_text("cp1252", errors="replace")
    except OSError as error:
        raise UnusableGold(f"cannot read {path}: {error.strerror}") from None
    first = content.partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise UnusableGold(f"{path.name} is not a CSV file: {error}") from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise UnusableGold(f"{path.name} has no rows below a header")
    return [name.strip() for name in rows[0]], rows[1:]


def _named(columns: dict[str, list[str]], gold: str, predicted: str | None) -> tuple[Variable, ...]:
    name = _variable_of(gold)[0] or OTHER
    return (_variable(columns, name, gold, predicted),)


def _detected(
    path: Path, columns: dict[str, list[str]], predicted: str | None
) -> tuple[Variable, ...]:
    found = _by_variable(columns)
    variables: list[Variable] = []
    for name in _VARIABLES:
        if name == OTHER and variables:
            continue
        golds, predictions = _roles(found.get(name, {}))
        if predicted:
            predictions = [predicted]
        if len(golds) > 1 or len(predictions) > 1:
            raise UnusableGold(
                f"{path.name} has more than one column for {name}: {_listed(golds + predictions)}; "
                "say which with --gold and --predicted"
            )
        if golds:
            variables.append(_variable(columns, name, golds[0], next(iter(predictions), None)))
    if not variables:
        raise UnusableGold(
            f"no column of {path.name} is seen to hold labels by people; it has "
            f"{_listed([*columns])}: say which with --gold (and --predicted)"
        )
    return tuple(variables)


def _by_variable(columns: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """The columns of labels, by what they are about and by role."""
    found: dict[str, dict[str, list[str]]] = {}
    for column in columns:
        name, role = _variable_of(column)
        if name is not None:
            found.setdefault(name, {}).setdefault(role, []).append(column)
    return found


def _roles(found: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Columns by people and by a model; an unmarked one is whichever is not there otherwise."""
    gold, predicted = found.get("gold", []), found.get("predicted", [])
    unmarked = found.get("unmarked", [])
    return (gold, predicted or unmarked) if gold else (unmarked, predicted)


def _variable_of(column: str) -> tuple[str | None, str]:
    """Which variable a column is about, if any, and in which role."""
    words = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_").split("_")
    role = (
        "predicted"
        if _PREDICTED.intersection(words)
        else "gold"
        if _GOLD.intersection(words)
        else "unmarked"
    )
    rest = "_".join(word for word in words if word not in _GOLD | _PREDICTED | _FILLER)
    for name, spellings in _VARIABLES.items():
        if rest in spellings:
            return name, role
    return None, role


def _variable(
    columns: dict[str, list[str]], name: str, gold: str, predicted: str | None
) -> Variable:
    if predicted and not {*columns[gold]} & {*columns[predicted]} - {""}:
        predicted = None  # the model's name, say, and not what it answered
    values = [columns[gold], *([columns[predicted]] if predicted else [])]
    name, spelt = _spell(name, values)
    return Variable(name, gold, predicted, spelt[0], spelt[1] if predicted else None)


def _spell(name: str, values: Sequence[Sequence[str]]) -> tuple[str, list[tuple[str | None, ...]]]:
    """The values in one spelling; the variable too, where only they can tell what it is."""
    plain = {cell.strip() for column in values for cell in column if cell.strip()}
    keys = {cell: re.sub(r"[^a-z0-9.]+", "", cell.lower()) for cell in plain}
    alone = name == OTHER and len(values) == 1
    if name != IDEOLOGY and all(key in _YES | _NO for key in keys.values()):
        known = {cell: "true" if key in _YES else "false" for cell, key in keys.items()}
        return POLITICS if alone else name, _mapped(values, known)
    if name != POLITICS and all(key in _LEANINGS for key in keys.values()):
        known = {cell: _LEANINGS[key] for cell, key in keys.items()}
        return IDEOLOGY if alone else name, _mapped(values, known)
    return name, _mapped(values, {cell: cell for cell in plain})


def _mapped(values: Sequence[Sequence[str]], known: dict[str, str]) -> list[tuple[str | None, ...]]:
    return [tuple(known.get(cell.strip()) for cell in column) for column in values]


def _first_of(columns: dict[str, list[str]], names: Iterable[str]) -> tuple[str, ...] | None:
    lower = {name.lower().strip().replace(" ", "_"): name for name in columns}
    for name in names:
        if name in lower:
            return tuple(unguarded(cell.strip()) for cell in columns[lower[name]])
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:20])
