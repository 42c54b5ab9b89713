"""Which language fastText finds a text to be in, for many texts at once.

The model takes the mean of the vectors of a text's words and their parts, and sorts it through a
tree of languages. Here the sum of each word is asked of fastText once and remembered, and the
mean and the tree are worked out in columns, which comes to the same at a small part of the cost.
With it goes how many words of a text are in given lists. Source of the calculation: A. Joulin et
al., FastText.zip: Compressing text classification models, 2016, and fastText's loss.cc.
What does not belong here: when a text counts as English.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LABEL = "__label__"
_END_OF_TEXT = "</s>"
_REMEMBERED = 100_000
"""Words; with more than that, remembering begins anew."""
_ADDED = np.float32(1e-5)
"""What fastText adds to each probability on the way to a language."""
_MAJORITY = 0.51
"""What has so much of all probability is the most likely."""
_AT_ONCE = 1024
"""Texts that are taken through the tree together: their shares stay in the processor's cache."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


@dataclass(frozen=True)
class Identified:
    """What the model and the word lists make of each text, one place a text."""

    likely: pa.StringArray
    """The most likely language."""
    share: np.ndarray
    """How likely it is."""
    wanted: np.ndarray
    """How likely the wanted language is."""
    words: np.ndarray
    """How many words the text has, as the lists count them."""
    listed: np.ndarray
    """How many of them are in each list; a row for each text."""

    def of(self, places: np.ndarray) -> "Identified":
        """The same of some of the texts."""
        return Identified(
            self.likely.take(pa.array(places)),
            self.share[places],
            self.wanted[places],
            self.words[places],
            self.listed[places],
        )


class LanguageModel:
    """fastText language identification, and word lists."""

    def __init__(self, path: Path, wanted: str, lists: Sequence[frozenset[str]]) -> None:
        """Load the model file, to tell above all whether texts are in the language `wanted`.

        Raises:
            ValueError: the file is not there, is not a fastText model, or is not one for
                languages that is built like lid.176.
        """
        model: Any = fasttext.load_model(str(path))
        self._ask = model.f
        labels, counts = model.get_labels(include_freq=True)
        languages = [label.removeprefix(_LABEL) for label in labels]
        kind = self._ask.getArgs()
        if kind.loss.name != "hs" or kind.wordNgrams != 1 or wanted not in languages:
            raise ValueError(f"{path} is not built like lid.176")
        self._languages = pa.array(languages, pa.string())
        self._output = np.array(self._ask.getOutputMatrix(), np.float32)
        self._tree = _Tree([int(count) for count in counts])
        self._wanted = languages.index(wanted)
        self._lists = lists
        self._rows: dict[str, int] = {}
        self._known = np.zeros((0, self._output.shape[1] + 2 + len(lists)), np.float32)
        self._end = self._learn(_END_OF_TEXT)
        self._end[self._output.shape[1] + 1 :] = 0

    def identify(self, texts: pa.StringArray) -> Identified:
        """What is in each text: words on one line, a space between them."""
        sums = self._sums(texts)
        dimensions = self._output.shape[1]
        means = sums[:, :dimensions] / sums[:, dimensions, None]
        wanted = self._tree.leaf(means, self._output, self._wanted)
        likely = np.full(len(texts), self._wanted)
        share = wanted.copy()
        other = np.flatnonzero(wanted <= _MAJORITY)
        likely[other], share[other] = self._tree.likeliest(means[other], self._output)
        return Identified(
            self._languages.take(pa.array(likely)),
            np.minimum(share, 1.0),
            np.minimum(wanted, 1.0),
            sums[:, dimensions + 1],
            sums[:, dimensions + 2 :],
        )

    def _sums(self, texts: pa.StringArray) -> np.ndarray:
        """For each text the sums of what is known of its words; its end counts as a word too."""
        split = pc.split_pattern(texts, " ")
        encoded = split.flatten().dictionary_encode()
        if len(self._rows) > _REMEMBERED:
            self._rows.clear()
        rows = self._rows_of(encoded.dictionary.to_pylist())
        starts = split.offsets.to_numpy().astype(np.int64)
        words = rows[encoded.indices.to_numpy()]
        sums = _sums_of_groups(self._known, words, starts - starts[0])
        sums += self._end
        return sums

    def _rows_of(self, words: list[str]) -> np.ndarray:
        """Where in the table each word is; words that it does not have are put there."""
        fresh = [word for word in words if word not in self._rows]
        if fresh:
            learnt = np.array([self._learn(word) for word in fresh], np.float32)
            self._known = np.concatenate([self._known[: len(self._rows)], learnt])
            self._rows.update(zip(fresh, range(len(self._rows), len(self._known)), strict=True))
        return np.array([self._rows[word] for word in words], np.int64)

    def _learn(self, token: str) -> np.ndarray:
        """The sum of the vectors of a word's parts, how many they are, and what the lists say."""
        listed = _WORD.findall(token.lower().replace("’", "'"))
        counts = [len([1 for word in listed if word in one]) for one in self._lists]
        parts = len(self._ask.getSubwords(token, "strict")[1]) if token else 0
        vector = np.zeros(self._output.shape[1], np.float32)
        if parts:
            asked = fasttext.FastText.fasttext.Vector(len(vector))
            self._ask.getWordVector(asked, token)
            vector = np.array(asked) * np.float32(parts)
        return np.concatenate([vector, [parts, len(listed), *counts]])


class _Tree:
    """The Huffman tree over the languages, the more frequent ones nearer to the root."""

    def __init__(self, counts: list[int]) -> None:
        """Build it as fastText does; `counts` are descending."""
        leaves = len(counts)
        counts = counts + [10**15] * (leaves - 1)
        self._children: list[tuple[int, int]] = []
        leaf, node = leaves - 1, leaves
        for parent in range(leaves, 2 * leaves - 1):
            pair = []
            for _ in range(2):
                if leaf >= 0 and counts[leaf] < counts[node]:
                    pair.append(leaf)
                    leaf -= 1
                else:
                    pair.append(node)
                    node += 1
            self._children.append((pair[0], pair[1]))
            counts[parent] = counts[pair[0]] + counts[pair[1]]
        self._leaves = leaves

    def leaf(self, means: np.ndarray, output: np.ndarray, leaf: int) -> np.ndarray:
        """How likely one leaf is for each of `means`."""
        share, node = np.ones(len(means), np.float32), leaf
        for place, pair in enumerate(self._children):
            if node in pair:
                right = _sigmoid(np.einsum("ij,j->i", means, output[place]))
                share *= (right if node == pair[1] else 1 - right) + _ADDED
                node = self._leaves + place
        return share

    def likeliest(self, means: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The most likely leaf for each of `means`, and how likely it is."""
        found, shares = np.empty(len(means), np.int64), np.empty(len(means), np.float32)
        nodes = np.ascontiguousarray(output[: self._leaves - 1].T)
        for start in range(0, len(means), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            # Not `@`: BLAS starts threads for it, which wait for work and use up the processor.
            leaves = self._shares(np.einsum("ji,jk->ik", nodes, means[here].T))
            found[here] = leaves.argmax(axis=0)
            shares[here] = leaves.max(axis=0)
        return found, shares

    def _shares(self, turns: np.ndarray) -> np.ndarray:
        """How likely each leaf is, given how much speaks for turning right at each node."""
        right = _sigmoid(turns)
        left = 1 - right
        right += _ADDED
        left += _ADDED
        shares = np.ones((2 * self._leaves - 1, turns.shape[1]), np.float32)
        for place in reversed(range(len(self._children))):
            first, second = self._children[place]
            parent = shares[self._leaves + place]
            np.multiply(parent, left[place], out=shares[first])
            np.multiply(parent, right[place], out=shares[second])
        return shares[: self._leaves]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is too large for a number gives 0, as it must
        return np.asarray(1 / (1 + np.exp(-values)))


def _sums_of_groups(table: np.ndarray, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """For each group of `rows`, which begin at `starts`, the sum of those rows of `table`.

    It goes word by word over all texts that have one: much faster than text by text.
    """
    lengths = np.diff(starts)
    order = np.argsort(-lengths, kind="stable")
    firsts, ascending = starts[:-1][order], np.sort(lengths)
    sums = np.zeros((len(lengths), table.shape[1]), np.float32)
    for place in range(ascending[-1] if len(ascending) else 0):
        left = len(lengths) - int(np.searchsorted(ascending, place, side="right"))
        sums[:left] += table.take(rows[firsts[:left] + place], axis=0)
    result = np.empty_like(sums)
    result[order] = sums
    return result
