"""The prompt: data files that are put together, and known by a hash of what is sent.

It is the fixed part of every request and stands first, so that servers reuse what they made of
it. What does not belong here: posts, which go into the user's message as quoted data.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bsky_assets.errors import UserError
from bsky_assets.labelling.answers import LABELS_ONLY, AnswerForm

PROMPTS = Path(__file__).parent / "prompts"
"""The built-in prompt: `prompt.toml` names its parts."""

DIGITS = 16


class UnusablePrompt(UserError):
    """The folder of a prompt lacks a file or has one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it is sent."""

    name: str
    text: str
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
    listed = "parts_with_reason" if form.has_reason else "parts"
    try:
        index = tomllib.loads((folder / "prompt.toml").read_text("utf-8"))
        name, parts = str(index["name"]), [str(part) for part in index[listed]]
        texts = [(folder / part).read_text("utf-8").strip() for part in parts]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusablePrompt(
            f"cannot read the prompt in {folder}: {error}; it needs a prompt.toml with `name` and "
            f"`{listed}`, and the files that these name"
        ) from None
    return Prompt(name, "\n\n".join(texts), form)
