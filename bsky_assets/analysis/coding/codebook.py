"""What coders read beside a post, and the answers that they can give."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bsky_assets.contracts import LlmLabel
from bsky_assets.contracts.codebooks import Codebook as AskedOfModels
from bsky_assets.contracts.codebooks import UnusableCodebook
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import LABELS
from bsky_assets.labelling.asking.prompt import codebook_in, load_prompt


class NotInTheCodebook(UserError):
    """An answer that the codebook does not have."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """The definitions, as Markdown, and the answers in the order of their keys."""

    name: str
    text: str
    answers: tuple[str, ...]
    asset: str = LlmLabel.asset
    """Where the answers of models to it are."""

    @property
    def version(self) -> str:
        """Sixteen hex digits that change with any word of it."""
        whole = "\n".join([self.text, *self.answers])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    def answer(self, given: str) -> str:
        """The answer that `given` is, whatever its case and spaces.

        Raises:
            NotInTheCodebook: it is none.
        """
        plain = _plain(given)
        plain = LABELS[0] if plain == "none" and LABELS[0] in self.answers else plain
        found = {_plain(answer): answer for answer in self.answers}.get(plain)
        if found is None:
            raise NotInTheCodebook(
                f"the codebook {self.name!r} has no answer {given[:40]!r}; it has "
                f"{', '.join(self.answers)}"
            )
        return found


def _plain(answer: str) -> str:
    return "_".join(answer.lower().replace("-", " ").replace("_", " ").split())


def codebook_to_code(asked: AskedOfModels) -> Codebook:
    """What models are asked, for coders.

    Raises:
        UnusableCodebook: a post has not one of several answers.
    """
    if asked.answer.type in ("several_of", "text"):
        raise UnusableCodebook(
            f"{asked.name}: answer.type: coders give one of the answers by its key; "
            f"{asked.answer.type} cannot be coded in a room"
        )
    return Codebook(asked.name, _told(asked), asked.answer.values, asked.asset)


def _told(asked: AskedOfModels) -> str:
    labels = "\n".join(f"- {label.name}: {label.definition}" for label in asked.answer.labels)
    return (asked.text or "\n\n".join([asked.question, labels, asked.instructions])).strip()


def codebook_of_prompt(folder: Path | None) -> Codebook:
    """What the model of record is given to decide by: the built-in codebook, or that in `folder`.

    Raises:
        UnusablePrompt: the folder has none.
    """
    return Codebook(load_prompt(folder).name, _told(codebook_in(folder)), LABELS)
