"""Learns what the signs of hate speech weigh, and measures it on writers who were left out.

    python -m bsky_assets.filters.measuring.weights [--write]

The texts are in `models/written`, a file for each writer; the README there says who they are.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from bsky_assets.filters.config import FOLDER
from bsky_assets.filters.judging.hate_speech import NAME, HateSpeechFilter, said
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.registry import weights_path
from bsky_assets.filters.words.lexicon import lexicon

_WRITTEN = FOLDER / "models" / "written"
_LEAST_TEXTS = 2
"""In how many texts a sign is, at least."""
_LEAST_WEIGHT = 0.05
_STRENGTH = 1.0
"""How freely weights are fitted: scikit-learn's C."""
_HEADER = (
    "# The weight of each sign of hate speech, learnt by\n"
    "# `python -m bsky_assets.filters.measuring.weights` from invented texts, of which\n"
    "# filters/models/written/README.md tells. GROUP is any name of a group; `> x` and `x <`\n"
    "# are x after and before one, {x} a word of the list x, ~x one that is denied, ^ the start\n"
    "# of a text or clause.\n"
)


@dataclass(frozen=True)
class Text:
    """A text as the weights see it."""

    signs: frozenset[str]
    least: float
    """What its signs have to weigh (see `Evidence.least`)."""
    stop: bool
    """Whether it is to be stopped."""


def written() -> dict[str, list[Text]]:
    """The texts by writer, and those beside the rules."""
    one = HateSpeechFilter({"bias": 0.0})
    found = {}
    for path in sorted(_WRITTEN.glob("*.jsonl")):
        rows = map(orjson.loads, path.read_bytes().splitlines())
        found[path.stem] = list(_texts([(row["text"], row["expected"]) for row in rows], one))
    beside = [rule for key in ("rules", "excuses") for rule in lexicon(NAME)[key]]
    pairs = [(rule[key], key == "stops") for rule in beside for key in ("stops", "passes")]
    return {**found, "beside_rules": list(_texts(pairs, one))}


def _texts(rows: Sequence[tuple[str, bool]], one: HateSpeechFilter) -> Iterator[Text]:
    plain = one.plain(from_texts([text for text, _ in rows])).to_pylist()
    for text, (_, stop) in zip(plain, rows, strict=True):
        reading = one.evidence.read(one.evidence.spelt(said(text)))
        yield Text(frozenset(one.evidence.signs(reading)), one.evidence.least(reading), stop)


def learnt(texts: Sequence[Text]) -> dict[str, float]:
    """The weights of the signs of `texts`, and the `bias`."""
    texts_with = Counter(sign for text in texts for sign in text.signs)
    table = DictVectorizer()
    columns = table.fit_transform(
        {sign: 1 for sign in sorted(text.signs) if texts_with[sign] >= _LEAST_TEXTS}
        for text in texts
    )
    columns.indices = columns.indices.astype(np.int32)
    columns.indptr = columns.indptr.astype(np.int32)
    model = LogisticRegression(C=_STRENGTH, solver="liblinear", random_state=0)
    model.fit(columns, [text.stop for text in texts])
    weighed = zip(table.get_feature_names_out(), model.coef_[0].tolist(), strict=True)
    kept = {sign: weight for sign, weight in weighed if abs(weight) >= _LEAST_WEIGHT}
    return {"bias": float(model.intercept_[0]), **kept}


def stopped(weights: Mapping[str, float], text: Text) -> bool:
    """Whether the signs of a text weigh enough."""
    return weights["bias"] + sum(weights.get(sign, 0.0) for sign in text.signs) >= text.least


def left_out(texts: Mapping[str, Sequence[Text]]) -> Iterator[tuple[str, float, float]]:
    """For each writer what weights learnt from the others stop and let through, as shares."""
    for name, theirs in texts.items():
        weights = learnt([text for other in texts if other != name for text in texts[other]])
        found = {
            stop: [stopped(weights, text) for text in theirs if text.stop == stop]
            for stop in (True, False)
        }
        yield name, float(np.mean(found[True])), 1 - float(np.mean(found[False]))


def main() -> None:
    """Print the figures of each writer, and write the weights if asked to."""
    texts = written()
    for name, found, let_through in left_out(texts):
        print(f"{name}, left out: {found:.3f} stopped, {let_through:.4f} let through")
    if "--write" in sys.argv:
        weights = learnt([text for theirs in texts.values() for text in theirs])
        lines = [f"{weight:.2f}\t{sign}\n" for sign, weight in weights.items()]
        weights_path(NAME).write_text(_HEADER + "".join(lines))
        print(f"written; state under canaries.entries: weights = {len(lines)}")


if __name__ == "__main__":
    main()
