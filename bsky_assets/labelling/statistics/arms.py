"""Two files of labels, made with and without something, against one of labels by people.

Posts are paired by URI, or else by text: never by their place in a file.
What does not belong here: the statistics of pairs; see `paired`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from statsmodels.stats.multitest import multipletests

from bsky_assets.labelling.asking.questions import text_hash
from bsky_assets.labelling.statistics.gold import Gold, UnusableGold, read_arm, read_gold
from bsky_assets.labelling.statistics.paired import Effect, Shift, effect, shifts


@dataclass(frozen=True, slots=True)
class Arms:
    """One thing that was labelled both ways."""

    name: str
    effect: Effect
    corrected_p: float
    """McNemar's p, corrected after Holm for all that is compared in these files."""
    shifts: tuple[Shift, ...]
    """Of the labels of all posts that have one both ways, coded by people or not."""
    unpaired: int
    """Posts with a label by people and none both ways."""


def compare_files(with_it: Path, without: Path, gold: Path) -> list[Arms]:
    """Compare the labels of two files with those by people, thing by thing.

    Raises:
        UnusableGold: a file cannot be read, names no post or one twice, or the three share nothing.
    """
    keyed = _by_post(
        {with_it: read_arm(with_it), without: read_arm(without), gold: read_gold(gold)}
    )
    compared = list(_compared(keyed[with_it], keyed[without], keyed[gold]))
    if not compared:
        raise UnusableGold(
            f"no post has a label in each of {with_it.name}, {without.name} and {gold.name}; they "
            "need the same URIs or texts, and a column about the same thing"
        )
    found = [(name, effect(*right), moved, left) for name, right, moved, left in compared]
    _, corrected, _, _ = multipletests([one.p for _, one, _, _ in found], method="holm")
    return [
        Arms(name, one, float(p), moved, left)
        for (name, one, moved, left), p in zip(found, corrected, strict=True)
    ]


Labels = Mapping[str, Mapping[str, str]]
"""By variable and then by post."""


def _compared(
    with_it: Labels, without: Labels, gold: Labels
) -> Iterator[tuple[str, tuple[list[bool], list[bool]], tuple[Shift, ...], int]]:
    for name, coded in gold.items():
        new, old = with_it.get(name, {}), without.get(name, {})
        both = sorted(new.keys() & old.keys())
        paired = [post for post in both if post in coded]
        if paired:
            right = tuple([arm[post] == coded[post] for post in paired] for arm in (old, new))
            moved = shifts([old[post] for post in both], [new[post] for post in both])
            yield name, (right[0], right[1]), tuple(moved), len(coded) - len(paired)


def _by_post(files: Mapping[Path, Gold]) -> dict[Path, Labels]:
    by_uri = all(gold.uris for gold in files.values())
    return {path: _keyed(path, gold, by_uri=by_uri) for path, gold in files.items()}


def _keyed(path: Path, gold: Gold, *, by_uri: bool) -> Labels:
    """The labels of a file by variable and post."""
    keys = gold.uris if by_uri else gold.texts and tuple(map(text_hash, gold.texts))
    if not keys:
        raise UnusableGold(
            f"{path.name} does not say which posts its labels are of; each of the three files "
            "needs a column uri, or each a column text"
        )
    if len({*keys}) < len(keys):
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise UnusableGold(f"{path.name} has a post twice: {twice[:80]!r}; keep one row of it")
    return {
        variable.name: {
            key: label for key, label in zip(keys, variable.gold, strict=True) if label is not None
        }
        for variable in gold.variables
    }
