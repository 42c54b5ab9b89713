"""Codebooks: questions to a language model about posts, and the tables of their answers.

A codebook is a TOML file that a researcher writes; the prompt, the form of the answer, the asset,
its table and its view follow from it. What does not belong here: asking, which is labelling's.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from bsky_assets.contracts.base import Row
from bsky_assets.contracts.labels import LlmLabel
from bsky_assets.contracts.verdicts import declarations
from bsky_assets.errors import UserError

SUFFIX = ".toml"
BUILT_IN = "sociopolitical"
"""The codebook of `llm_labels`, which is the package's."""
ENGLISH = "en"
NOISE = tuple(f"is_{name}" for name in declarations() if name != "english")
"""Columns of filtered posts: what each filter but that of the language says."""

Kind = Literal["boolean", "one_of", "several_of", "scale", "text"]
Context = Literal["reply_to", "thread_root", "quoted", "link", "alt_texts"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")
_REASON = re.compile(r"[a-z0-9_:]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_NO_LETTERS = re.compile(r"[^a-z0-9]+")
_KEYS_OF_ANSWERS = ("text", "reason", "code")
_MOST_LABELS = 50
"""Servers bound how many values a schema may list."""
_COLUMN_TYPES: Mapping[Kind, Any] = {
    "boolean": bool,
    "one_of": str,
    "several_of": list[str],
    "scale": int,
    "text": str,
}


class UnusableCodebook(UserError):
    """A codebook cannot be used; the message names file and key, and says what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Label(_Part):
    """One of the answers."""

    name: str
    definition: str = Field(min_length=1)
    examples: tuple[str, ...] = ()


class AnswerOf(_Part):
    """What is answered about a post."""

    type: Kind
    labels: tuple[Label, ...] = ()
    characters: int = Field(200, ge=10, le=1000)
    """Of a text, at most."""
    field: str | None = None
    """What the answer calls it; None: the codebook's name."""
    says: str | None = None
    """What the prompt says of it in the form of the answer; None: what follows from the labels."""

    @field_validator("labels", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("write each label as [answer.labels.NAME] with a definition")
        return [{"name": n, **(of if isinstance(of, dict) else {})} for n, of in value.items()]

    @model_validator(mode="after")
    def _fitting(self) -> "AnswerOf":
        problem = next(_misfits(self), None)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def values(self) -> tuple[str, ...]:
        """What may be answered, as words of the answer; empty for a text."""
        if self.type == "scale":
            ends = sorted(int(label.name) for label in self.labels)
            return tuple(map(str, range(ends[0], ends[-1] + 1)))
        return tuple(label.name for label in self.labels)


def _misfits(answer: AnswerOf) -> Iterator[str]:
    """What is wrong with the labels of an answer."""
    names = [label.name for label in answer.labels]
    if answer.type == "text":
        if names:
            yield "a text has no labels; remove them, or take one_of"
        return
    if answer.type == "boolean" and sorted(names) != ["no", "yes"]:
        yield "a boolean has the labels yes and no; define both"
    if answer.type == "scale":
        yield from _misfits_of_scale(names)
    if len(names) < 2:
        yield "there is nothing to choose from; define at least two labels"
    if len(names) > _MOST_LABELS:
        yield f"there are {len(names)} labels; a schema holds at most {_MOST_LABELS}"
    for name in names:
        if not _LABEL.fullmatch(name):
            yield f"the label {name!r:.50} is not one of up to 40 letters, digits, spaces, _ and -"
    yield from _ambiguities(answer)


def _misfits_of_scale(names: Sequence[str]) -> Iterator[str]:
    if not (len(names) > 1 and all(name.isdecimal() for name in names)):
        yield "the labels of a scale are whole numbers; define at least its two ends"
        return
    numbers = sorted(map(int, names))
    if twice := [one for one, next_one in pairwise(numbers) if one == next_one]:
        yield f"the scale has {twice[0]} twice; remove one"
    if (steps := numbers[-1] - numbers[0] + 1) > _MOST_LABELS:
        yield f"the scale has {steps} steps; a schema holds at most {_MOST_LABELS}"


def _ambiguities(answer: AnswerOf) -> Iterator[str]:
    plain: dict[str, str] = {}
    said: dict[str, str] = {}
    defined: dict[str, str] = {}
    for label in answer.labels:
        if (other := plain.setdefault(_plain(label.name), label.name)) != label.name:
            yield f"labels {other!r} and {label.name!r} overlap; rename one"
        if (other := defined.setdefault(_plain(label.definition), label.name)) != label.name:
            yield f"labels {other!r} and {label.name!r} have the same definition; tell them apart"
        for example in label.examples if answer.type != "several_of" else ():
            if (other := said.setdefault(_plain(example), label.name)) != label.name:
                yield f"the example {example!r:.60} is one of {other!r} and of {label.name!r}"


def _plain(text: str) -> str:
    return _NO_LETTERS.sub(" ", text.casefold()).strip()


class OnlyWhere(_Part):
    """That posts are asked about only for which another codebook has one of some answers."""

    codebook: str
    answers: tuple[str, ...] = Field(min_length=1)


class Stopped(_Part):
    """That posts are asked about which a filter stopped, instead of those that passed."""

    filter: str
    reasons: str = ""
    """What the filter's reason begins with."""
    sample: int = Field(10, ge=1)
    """Posts a day, drawn at random."""

    @field_validator("filter")
    @classmethod
    def _declared(cls, value: str) -> str:
        if f"is_{value}" not in NOISE:
            there = ", ".join(name.removeprefix("is_") for name in NOISE)
            raise ValueError(f"there is no filter {value!r:.50} after english; there are {there}")
        return value

    @field_validator("reasons")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _REASON.fullmatch(value):
            raise ValueError("expected letters, digits, _ and :")
        return value


class Codebook(_Part):
    """A question about posts."""

    name: str
    version: str = "1"
    question: str = Field(min_length=1)
    instructions: str = ""
    """What else the model should know."""
    text: str = ""
    """Instead of question, labels and instructions: what files beside the codebook say."""
    context: tuple[Context, ...] = ("reply_to", "thread_root", "quoted", "link", "alt_texts")
    """What is sent with a post, where it is known."""
    languages: tuple[str, ...] = Field((ENGLISH,), min_length=1)
    only_where: OnlyWhere | None = None
    stopped: Stopped | None = None
    answer: AnswerOf

    @property
    def is_second_opinion(self) -> bool:
        """Whether it says yes or no to what a filter stopped."""
        return self.stopped is not None and self.answer.type == "boolean"

    @field_validator("name")
    @classmethod
    def _usable_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("expected up to 40 lower-case letters, digits and _")
        if value in _KEYS_OF_ANSWERS:
            raise ValueError(f"{value!r} is a key of every answer; take another")
        return value

    @field_validator("languages")
    @classmethod
    def _codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [code for code in value if not _LANGUAGE.fullmatch(code)]:
            raise ValueError(f"expected codes such as en or es, got {wrong[0]!r:.20}")
        return value

    @property
    def asset(self) -> str:
        """The name of its asset and of its view."""
        return LlmLabel.asset if self.name == BUILT_IN else f"labels_{self.name}"

    @property
    def field(self) -> str:
        """What the answer calls it."""
        return self.answer.field or self.name


def read_codebook(path: Path) -> Codebook:
    """The codebook in the file at `path`.

    Raises:
        UnusableCodebook: there is none that can be used.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
        if isinstance(told.get("text"), list):
            texts = [(path.parent / str(name)).read_text("utf-8").strip() for name in told["text"]]
            told["text"] = "\n\n".join(texts)
        codebook = Codebook.model_validate(told)
    except OSError as error:
        raise UnusableCodebook(f"cannot read {error.filename}: {error.strerror}") from None
    except ValidationError as error:
        raise UnusableCodebook(f"{path.name}: {_first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise UnusableCodebook(f"{path.name} is not TOML: {error}") from None
    if codebook.name != path.stem:
        raise UnusableCodebook(
            f"{path.name}: name: is {codebook.name!r}; name the file {codebook.name}{SUFFIX}"
        )
    return codebook


def _first_problem(error: ValidationError) -> str:
    """The key that is wrong, and what to do."""
    problem = error.errors()[0]
    key = ".".join(map(str, problem["loc"])) or "the file"
    key = key if key.isprintable() else repr(key)
    todo = {
        "missing": "is missing; write it",
        "extra_forbidden": "is no key of a codebook; remove it",
        "string_too_short": "is empty; write it",
    }.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    return f"{key}: {todo}"


@dataclass(frozen=True)
class Codebooks:
    """The codebooks of a data directory."""

    usable: tuple[Codebook, ...] = ()
    """In an order in which each comes after the one that decides who is asked about."""
    problems: tuple[str, ...] = ()
    """What is wrong with the others, a line each."""


def codebook_among(folder: Path, path: Path) -> Codebooks:
    """The codebooks in `folder` with the one at `path`, whether or not it is there yet.

    Raises:
        UnusableCodebook: the one at `path` cannot be used beside the others.
    """
    own = _not_taken(read_codebook(path))
    others = {one.name: one for one in load_codebooks(folder).usable}
    problems: list[str] = []
    found = _ordered({**others, own.name: own}, problems)
    if own not in found.usable:
        raise UnusableCodebook(problems[0])
    return found


def load_codebooks(folder: Path, more: Iterable[Path] = ()) -> Codebooks:
    """The codebooks in `folder`, none where it is not there, and in the files `more`.

    One of `more` stands for the one of its name in `folder`.
    """
    read: dict[str, Codebook] = {}
    problems: list[str] = []
    found = {path.stem: path for path in (*sorted(folder.glob(f"*{SUFFIX}")), *more)}
    for path in found.values():
        try:
            read[path.stem] = _not_taken(read_codebook(path))
        except UnusableCodebook as problem:
            problems.append(str(problem))
    return _ordered(read, problems)


def _not_taken(codebook: Codebook) -> Codebook:
    if codebook.name == BUILT_IN:
        raise UnusableCodebook(f"{BUILT_IN}{SUFFIX}: name: is taken by the package; take another")
    return codebook


def _ordered(read: dict[str, Codebook], problems: list[str]) -> Codebooks:
    while wrong := next(_without_ground(read), None):
        name, problem = wrong
        del read[name]
        problems.append(problem)
    order = TopologicalSorter({name: _asks_after(codebook) for name, codebook in read.items()})
    try:
        names = [*order.static_order()]
    except CycleError as error:
        circle = error.args[1]
        problems.append(
            f"{circle[0]}{SUFFIX}: only_where: goes in a circle ({' → '.join(circle)}); cut it"
        )
        return _ordered({k: v for k, v in read.items() if k not in circle}, problems)
    return Codebooks(tuple(read[name] for name in names), tuple(problems))


def _asks_after(codebook: Codebook) -> Iterable[str]:
    where = codebook.only_where
    return [where.codebook] if where and where.codebook != BUILT_IN else []


_POLITICAL_ANSWERS = ("not_sociopolitical", "left", "right", "moderate", "unclear")


def _without_ground(read: Mapping[str, Codebook]) -> Iterator[tuple[str, str]]:
    """Codebooks that ask only where another, that is not there, has an answer that it cannot."""
    for name, codebook in read.items():
        where = codebook.only_where
        if where is None:
            continue
        if where.codebook != BUILT_IN and where.codebook not in read:
            said = f"there is no codebook {where.codebook!r:.50}; add it, or remove only_where"
            yield name, f"{name}{SUFFIX}: only_where.codebook: {said}"
            continue
        values = (
            _POLITICAL_ANSWERS if where.codebook == BUILT_IN else read[where.codebook].answer.values
        )
        if wrong := [answer for answer in where.answers if answer not in values]:
            said = f"{wrong[0]!r:.50} is no answer to {where.codebook}; it has {', '.join(values)}"
            yield name, f"{name}{SUFFIX}: only_where.answers: {said}"


class CodebookLabel(Row):
    """One answer to a codebook about one post, by one model and version of the codebook."""

    key: ClassVar[tuple[str, ...]] = LlmLabel.key
    codebook: ClassVar[Codebook]


_OF_LABELS = {"uri", "is_label_of_record", "prompt_version", "request_id", "slot"}


def holds_labels(row: type[Row]) -> bool:
    """Whether a table holds answers of models to a codebook, be it there still or not."""
    return row.model_fields.keys() >= _OF_LABELS


def rows_of(codebooks: Codebooks) -> tuple[type[CodebookLabel], ...]:
    """The contracts of the tables of `codebooks`, in their order."""
    made: dict[str, type[CodebookLabel]] = {}
    for codebook in codebooks.usable:
        where = codebook.only_where
        made[codebook.name] = _row(codebook, made.get(where.codebook, LlmLabel) if where else None)
    return tuple(made.values())


@cache
def _row(codebook: Codebook, parent: type[Row] | None) -> type[CodebookLabel]:
    """The contract of the table of `codebook`: that of `llm_labels` with another answer."""
    fields: dict[str, Any] = {}
    for name, info in LlmLabel.model_fields.items():
        if name == "is_sociopolitical":
            kind = _COLUMN_TYPES[codebook.answer.type]
            said = Field(description=f"{codebook.question} Null if not labelled.")
            fields["answer"] = (Annotated[kind | None, *info.metadata], said)
        elif name != "political_ideology":
            fields[name] = (info.annotation, copy(info))
    row = create_model(
        "".join(part.capitalize() for part in codebook.asset.split("_")),
        __base__=CodebookLabel,
        __module__=__name__,
        __doc__=f"One answer of one model about one post to: {codebook.question}",
        **fields,
    )
    row.asset = codebook.asset
    row.codebook = codebook
    row.parents = (parent,) if parent else ()
    row.rows_from = tuple(_rows_from(codebook))
    return row


_OF_STOPPED = ("filtered_by_func", "filter_reason", "is_english")


def _rows_from(codebook: Codebook) -> Iterator[str]:
    yield from LlmLabel.rows_from
    if codebook.stopped:
        yield from (f"filtered_posts.{name}" for name in _OF_STOPPED)
    if set(codebook.languages) - {ENGLISH}:
        judged = ("filtered_by_func", "language", *NOISE)
        yield from (f"filtered_posts.{name}" for name in judged)
    if where := codebook.only_where:
        asset = LlmLabel.asset if where.codebook == BUILT_IN else f"labels_{where.codebook}"
        answers = (
            ("is_sociopolitical", "political_ideology")
            if where.codebook == BUILT_IN
            else ("answer",)
        )
        for column in (*answers, "is_label_of_record", "was_successfully_labeled"):
            yield f"{asset}.{column}"
