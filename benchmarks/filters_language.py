"""Precision and recall of English by length of text, on real sentences dressed up as posts.

Sentences are those of the lingua test data (real data, not in the repository), whole and cut
short. Precision is stated for as many sentences of each language, and as it would be if one text
in five were English. Usage: python -m benchmarks.filters_language [FOLDER OF SENTENCES]
"""

import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.measuring import report
from bsky_assets.filters.config import BUILT_IN_LANGUAGE_MODEL
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.registry import Sources, declared
from bsky_assets.filters.words.identification import LanguageModel
from bsky_assets.filters.words.language import clean

FOLDER = Path(__file__).parents[2] / "shared" / "real_data" / "labelled" / "lingua-sentences"
MAJOR = "en es pt fr de it nl sv da nb fi pl cs tr id ja ko ru ar zh".split()  # noqa: SIM905 -- short
LENGTHS = ((1, 10), (10, 20), (20, 40), (40, 80), (80, 400), (20, 400))
CUTS = (8, 12, 16, 20, 25, 30, 40, 60, 80, 120, 400)
CUTS_OF_ENGLISH = 12
BOILERPLATE = "ur"
"""Its sentences begin with an English link, so that their beginnings are English."""

Item = tuple[str, str]


def items(folder: Path) -> list[Item]:
    """Language and text."""
    rng = random.Random(7)
    return [
        (path.stem, _post_like(rng, _cut(rng, sentence)))
        for path in sorted(folder.glob("*.txt"))
        if path.stem != BOILERPLATE
        for sentence in path.read_text().splitlines()
        for _ in range(CUTS_OF_ENGLISH if path.stem == "en" else 2)
    ]


def _cut(rng: random.Random, sentence: str) -> str:
    words = sentence.split(" ")
    text = " ".join(words[rng.randrange(max(1, len(words) // 2)) :])
    length = rng.choice(CUTS)
    return text[: length + 1].rsplit(" ", 1)[0] if len(text) > length else text


def _post_like(rng: random.Random, text: str) -> str:
    before = "@someone.bsky.social " if rng.random() < 0.3 else ""
    after = rng.choice(("", "", " 😀🔥", " https://example.com/a/b", "\n\n#breaking #today", "!!!"))
    return before + text + after


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    found = items(folder)
    texts = [text for _, text in found]
    english = np.array([language == "en" for language, _ in found])
    major = np.array([language in MAJOR for language, _ in found])
    cleaned = clean(pa.array(texts))
    lengths = pc.utf8_length(cleaned).to_numpy()
    alone = LanguageModel(BUILT_IN_LANGUAGE_MODEL, "en", []).identify(cleaned)
    says_english = np.array(pc.equal(alone.likely, "en")) & (lengths > 0)
    chain = declared()[0].make(Sources(BUILT_IN_LANGUAGE_MODEL, {})).judge(from_texts(texts))
    rules = {
        "the model alone": says_english,
        "the model, p >= 0.5": says_english & (alone.share >= 0.5),
        "the filter": np.array(chain.passed, dtype=bool),
    }
    figures = {}
    for name, passed in rules.items():
        for low, high in LENGTHS:
            here = (lengths >= low) & (lengths < high)
            recall = passed[here & english].mean()
            wrong = {
                "20 languages": passed[here & ~english & major].mean(),
                "74 languages": passed[here & ~english].mean(),
            }
            precisions = {kind: recall / (recall + 4 * share) for kind, share in wrong.items()}
            print(
                f"{name:20} {low:3}-{high:3} recall {recall:.3f}, at one in five English precision "
                + ", ".join(f"{value:.3f} ({kind})" for kind, value in precisions.items())
            )
            figures[f"{name} {low}-{high}"] = [recall, *precisions.values()]
    report("filters_language", figures=figures)


if __name__ == "__main__":
    main()
