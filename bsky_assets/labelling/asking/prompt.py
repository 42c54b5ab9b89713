"""The prompt: data files that are put together, and known by a hash of what is sent.

It is the fixed part of every request and stands first, so that servers reuse what they made of
it. It opens with a code that the answer must repeat: a server that cuts off the beginning of a
request cuts off the code too. The code stands behind a sentence, since some servers keep the first
few tokens of what they cut, and is the same for each request by one prompt, since servers reuse
only beginnings that are the same; a code for each request would cost that. It ends with the form of
the answer, which is the package's and does not repeat the code.
What does not belong here: posts, which go into the user's message as quoted data.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import LABELS_ONLY, AnswerForm

PROMPTS = Path(__file__).parent / "prompts"
"""The built-in prompt: `prompt.toml` names its parts."""

DIGITS = 16
_LEAST_CODE, _CODES = 1_000, 9_000
"""Codes have four digits."""


class UnusablePrompt(UserError):
    """The folder of a prompt lacks a file or has one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it is sent."""

    name: str
    text: str
    code: str
    """What the answer must repeat of it."""
    form: AnswerForm = LABELS_ONLY
    """What it asks for."""

    @property
    def version(self) -> str:
        """Sixteen hex digits of the SHA-256 of the text: any other word gives another version."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:DIGITS]


@cache
def load_prompt(folder: Path = PROMPTS, form: AnswerForm = LABELS_ONLY) -> Prompt:
    """The prompt whose files are in `folder`, for answers in `form`.

    Raises:
        UnusablePrompt: a file is missing, or `prompt.toml` does not name the parts.
    """
    try:
        index = tomllib.loads((folder / "prompt.toml").read_text("utf-8"))
        name, parts = str(index["name"]), [str(part) for part in index["parts"]]
        texts = [(folder / part).read_text("utf-8").strip() for part in parts]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusablePrompt(
            f"cannot read the prompt in {folder}: {error}; it needs a prompt.toml with `name` and "
            "`parts`, and the files that these name"
        ) from None
    if "parts_with_reason" in index:
        raise UnusablePrompt(
            f"{folder / 'prompt.toml'} is of an earlier form: the form of the answer is no part "
            "of a prompt now; remove `parts_with_reason`, and output.md from `parts`"
        )
    answer = _built_in("answer_with_reason.md" if form.has_reason else "answer.md")
    asked = "\n\n".join([*texts, answer])
    code = _code_of(asked)
    opening = _built_in("opening.md").replace("CODE", code)
    return Prompt(name, f"{opening}\n\n{asked}", code, form)


def _built_in(name: str) -> str:
    return (PROMPTS / name).read_text("utf-8").strip()


def _code_of(text: str) -> str:
    """Four digits that nobody guesses, the same for the same text, and not in it."""
    number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    while (code := str(_LEAST_CODE + number % _CODES)) in text:
        number += 1
    return code
