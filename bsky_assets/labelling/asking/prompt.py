"""The prompt: what codebooks ask, put together, and known by a hash of what is sent.

It is the fixed part of every request and stands first, so that servers reuse what they made of
it. It opens with a code that the answer must repeat: a server that cuts off the beginning of a
request cuts off the code too. The code stands behind a sentence, since some servers keep the first
few tokens of what they cut, and is the same for each request by one prompt, since servers reuse
only beginnings that are the same; a code for each request would cost that. It ends with the form of
the answer, which is the package's and does not repeat the code.
What does not belong here: posts, which go into the user's message as quoted data.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from bsky_assets.contracts.codebooks import BUILT_IN, ENGLISH, Codebook, read_codebook
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import AnswerField, AnswerForm

PROMPTS = Path(__file__).parent / "prompts"
"""The built-in codebook, and what the prompts of all codebooks have in common."""

_OWN = f"{BUILT_IN}.toml"
DIGITS = 16
_LEAST_CODE, _CODES = 1_000, 9_000
"""Codes have four digits."""
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_REASON = "one sentence of at most 30 words that says what in the post decides it"
_EXAMPLES = (
    ("p0", "Good", "It is about a meal."),
    ("p1", "The", "It reports a vote and takes no side."),
)


class UnusablePrompt(UserError):
    """The folder of a prompt has no codebook for `llm_labels`."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it is sent."""

    name: str
    text: str
    code: str
    """What the answer must repeat of it."""
    form: AnswerForm
    """What it asks for."""
    parts: tuple["Prompt", ...] = ()
    """The prompts by which each answer is known, where several codebooks are asked together."""

    @property
    def version(self) -> str:
        """Sixteen hex digits of the SHA-256 of the text: any other word gives another version."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:DIGITS]


@cache
def built_in_codebook() -> Codebook:
    """The codebook of `llm_labels`."""
    return read_codebook(PROMPTS / _OWN)


@cache
def codebook_in(folder: Path | None) -> Codebook:
    """The codebook that `llm_labels` is asked by: the built-in one, or that in `folder`.

    Raises:
        UnusablePrompt: there is none, or it has other answers than the built-in one.
        UnusableCodebook: it cannot be read.
    """
    if folder is None:
        return built_in_codebook()
    path = folder / _OWN
    if not path.exists():
        raise UnusablePrompt(f"there is no {_OWN} in {folder}; see docs/codebooks.md")
    codebook = read_codebook(path)
    if codebook.answer.values != built_in_codebook().answer.values:
        raise UnusablePrompt(
            f"{path}: answer.labels: llm_labels has columns for the labels "
            f"{', '.join(built_in_codebook().answer.values)}; keep these, and ask for others in a "
            "codebook of its own"
        )
    return codebook


def load_prompt(
    folder: Path | None = None,
    *,
    has_reason: bool = False,
    has_news: bool = False,
    has_views: bool = False,
) -> Prompt:
    """The prompt of `llm_labels`, by the built-in codebook or the one in `folder`.

    With `has_news` it says what articles beside a post are, with `has_views` what summaries are.

    Raises:
        UnusablePrompt: as `codebook_in`.
    """
    return codebook_prompt(
        (codebook_in(folder),), has_reason=has_reason, has_news=has_news, has_views=has_views
    )


@cache
def codebook_prompt(
    codebooks: tuple[Codebook, ...],
    *,
    has_reason: bool = False,
    has_news: bool = False,
    has_views: bool = False,
) -> Prompt:
    """The prompt that asks `codebooks`, all of them about the same posts."""
    name = " and ".join(f"{codebook.name}-{codebook.version}" for codebook in codebooks)
    first, *_ = codebooks
    if first.text:
        texts = [first.text, _built_in("input.md")]
    else:
        questions = (_question(codebook, codebooks) for codebook in codebooks)
        texts = [_built_in("codebook.md"), *questions, _built_in("input.md")]
    texts += _of_languages(first.languages)
    texts += _of_news(has_news=has_news, has_views=has_views)
    form = AnswerForm(has_reason, asked=tuple(AnswerField.of(codebook) for codebook in codebooks))
    asked = "\n\n".join([*texts, _answer(codebooks, form)])
    several = codebooks if len(codebooks) > 1 else ()
    parts = tuple(codebook_prompt((one,), has_reason=has_reason) for one in several)
    return _with_opening(name, asked, form, parts)


def _of_languages(languages: Sequence[str]) -> list[str]:
    """What the model is told of languages, if there is another than English."""
    if set(languages) == {ENGLISH}:
        return []
    return [_built_in("languages.md").replace("LANGUAGES", ", ".join(sorted(languages)))]


def _of_news(*, has_news: bool, has_views: bool) -> list[str]:
    return [_built_in("news_views.md" if has_views else "news.md")] if has_news else []


@cache
def views_prompt() -> Prompt:
    """The prompt that asks what each side says of a topic, by its articles; `form` asks of none."""
    return _with_opening("news-views", _built_in("views.md"), AnswerForm(asked=()))


def _with_opening(
    name: str, asked: str, form: AnswerForm, parts: tuple[Prompt, ...] = ()
) -> Prompt:
    code = _code_of(asked)
    opening = _built_in("opening.md").replace("CODE", code)
    return Prompt(name, f"{opening}\n\n{asked}", code, form, parts)


def _question(codebook: Codebook, codebooks: Sequence[Codebook]) -> str:
    """What is sent of a codebook: question, definitions with their examples, instructions."""
    labels = (
        f"- {label.name}: {label.definition}{_examples(label.examples)}"
        for label in codebook.answer.labels
    )
    title = (
        f"## `{codebook.field}`: {codebook.question}"
        if len(codebooks) > 1
        else (f"## {codebook.question}")
    )
    told = [title, "\n".join(labels), codebook.instructions.strip()]
    return "\n\n".join(part for part in told if part)


def _examples(examples: Sequence[str]) -> str:
    return "".join(f" Example: {orjson.dumps(example).decode()}" for example in examples)


def _answer(codebooks: Sequence[Codebook], form: AnswerForm) -> str:
    """The form of the answer, in words and by an example."""
    fields = ["- `text`: the first word of the post's own text, as it stands there"]
    fields += [f"- `{codebook.field}`: {_says(codebook)}" for codebook in codebooks]
    if form.has_reason:
        fields += [f"- `reason`: {_REASON}"]
    return (
        _built_in("answer.md")
        .replace("COUNT", _COUNTS[len(fields)])
        .replace("FIELDS", "\n".join(fields))
        .replace("EXAMPLE", _example(codebooks, form))
    )


def _says(codebook: Codebook) -> str:
    answer = codebook.answer
    if answer.says:
        return answer.says
    if answer.type == "text":
        return f"a text of at most {answer.characters} characters"
    quoted = [f'"{value}"' for value in answer.values]
    if answer.type == "several_of":
        return f"a list of those that hold, of {', '.join(quoted)}; [] if none does"
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _example(codebooks: Sequence[Codebook], form: AnswerForm) -> str:
    """An answer about two posts; it shows the first label and the last."""
    posts = []
    for place, (key, word, reason) in zip((0, -1), _EXAMPLES, strict=True):
        fields = [("text", word), *((one.field, _shown(one, place)) for one in codebooks)]
        fields += [("reason", reason)] if form.has_reason else []
        posts.append(f'"{key}": {{{", ".join(_members(fields))}}}')
    return f'{{"code": "…", {", ".join(posts)}}}'


def _members(fields: Sequence[tuple[str, object]]) -> Iterator[str]:
    return (f'"{name}": {orjson.dumps(value).decode()}' for name, value in fields)


def _shown(codebook: Codebook, place: int) -> object:
    answer = codebook.answer
    if answer.type == "text":
        return "…"
    value = answer.values[place]
    return [value] if answer.type == "several_of" else value


def _built_in(name: str) -> str:
    return (PROMPTS / name).read_text("utf-8").strip()


def _code_of(text: str) -> str:
    """Four digits that nobody guesses, the same for the same text, and not in it."""
    number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    while (code := str(_LEAST_CODE + number % _CODES)) in text:
        number += 1
    return code
