"""What coders read beside a post, and the answers that they can give."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import LABELS
from bsky_assets.labelling.asking.prompt import load_prompt

_MODELS = frozenset({"input.md", "task.md"})


class NotInTheCodebook(UserError):
    """An answer that the codebook does not have."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """The definitions, as Markdown, and the answers in the order of their keys."""

    name: str
    text: str
    answers: tuple[str, ...]

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
        found = "_".join(given.lower().replace("-", " ").replace("_", " ").split())
        found = LABELS[0] if found == "none" and LABELS[0] in self.answers else found
        if found not in self.answers:
            raise NotInTheCodebook(
                f"the codebook {self.name!r} has no answer {given[:40]!r}; it has "
                f"{', '.join(self.answers)}"
            )
        return found


def codebook_of_prompt(folder: Path) -> Codebook:
    """What the model of record is given to decide by, without what is said to models alone.

    Raises:
        UnusablePrompt: the folder of the prompt cannot be read.
    """
    name = load_prompt(folder).name  # which tells what is wrong with it
    parts = tomllib.loads((folder / "prompt.toml").read_text("utf-8"))["parts"]
    texts = [(folder / part).read_text("utf-8").strip() for part in parts if part not in _MODELS]
    return Codebook(name, "\n\n".join(texts), LABELS)
