"""The words of a codebook that can be changed, taken out of it and put back."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import tomlkit
from pydantic import ValidationError

from bsky_assets.contracts.codebooks import SUFFIX, Codebook
from bsky_assets.labelling.asking.prompt import codebook_prompt
from bsky_assets.labelling.asking.questions import normalise
from bsky_assets.storage.files import make_folder, staged

Wording = Mapping[str, str]
"""By the name of the part."""

TEXT, INSTRUCTIONS, DEFINITION = "text", "instructions", "definition of "
_MOST_GROWTH, _LEAST_ROOM = 2, 2_000
"""A part has at most twice its characters, or so many."""
_QUOTED_WORDS = 8
"""So many words in a row of a post are a quotation of it."""
_WORD = re.compile(r"\w+")


def wording_of(codebook: Codebook) -> dict[str, str]:
    """What of `codebook` is put in other words: what the model is told, not what it is asked."""
    if codebook.text:
        return {TEXT: codebook.text}
    definitions = {DEFINITION + one.name: one.definition for one in codebook.answer.labels}
    return {INSTRUCTIONS: codebook.instructions, **definitions}


def reworded(codebook: Codebook, wording: Wording) -> Codebook | None:
    """`codebook` in other words; None if it would be none, or far longer."""
    own = wording_of(codebook)
    words = {name: normalise(text) for name, text in wording.items()}
    if words == {name: normalise(text) for name, text in own.items()}:
        return codebook
    if any(len(words[name]) > max(_MOST_GROWTH * len(own[name]), _LEAST_ROOM) for name in own):
        return None
    told = codebook.model_dump(exclude_defaults=True)
    told |= {key: words[key] for key in (TEXT, INSTRUCTIONS) if key in words}
    if labels := codebook.answer.labels:
        told["answer"]["labels"] = {
            one.name: {
                "definition": words.get(DEFINITION + one.name, one.definition),
                "examples": one.examples,
            }
            for one in labels
        }
    try:
        return Codebook.model_validate(told)
    except ValidationError:
        return None


class Quotations:
    """Finds words of posts in what a model writes: they belong to their authors, who may delete
    them, and a wording that has them says how one post is labelled, and not how posts are."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take the posts that the model may have seen."""
        self._runs = {run for text in texts for run in _runs(text)}

    def are_in(self, text: str) -> bool:
        """Whether `text` has a run of words of a post."""
        return any(run in self._runs for run in _runs(text))


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    words = _WORD.findall(normalise(text).casefold())
    return zip(*(words[start:] for start in range(_QUOTED_WORDS)), strict=False)


def write(codebook: Codebook, folder: Path) -> Path:
    """Write `codebook`, which says of itself that it is another version, into `folder`."""
    version = codebook_prompt((codebook,)).version
    told = codebook.model_dump(exclude_defaults=True, mode="json")
    told["version"] = f"{codebook.version}-{version[:8]}"
    if labels := codebook.answer.labels:
        told["answer"]["labels"] = {
            one.name: one.model_dump(exclude={"name"}, exclude_defaults=True, mode="json")
            for one in labels
        }
    make_folder(folder)
    if codebook.text:
        told["text"] = ["wording.md"]
        with staged(folder / "wording.md") as path:
            path.write_text(codebook.text + "\n", "utf-8")
    target = folder / f"{codebook.name}{SUFFIX}"
    with staged(target) as path:
        path.write_text(tomlkit.dumps(told), "utf-8")
    return target
