"""What words weigh together: learnt weights, and what keeps them from stopping a post."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bsky_assets.filters.judging.hate_speech import NAME
from bsky_assets.filters.measuring import weights
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.registry import weights_path
from bsky_assets.filters.words.evidence import read_weights
from bsky_assets.filters.words.lexicon import lexicon
from bsky_assets_tests.filters.posts import shipped
from bsky_assets_tests.support.sandbox_day import plain_environment

ONE = shipped(NAME)
NAMES = (
    "Muslims",
    "Jews",
    "Christians",
    "women",
    "lesbians",
    "Mexicans",
    "immigrants",
    "Nigerians",
)
SENTENCES = (
    "who let these filthy {} in?",
    "{} have no culture and no soul.",
    "if you ask me, {} run everything and deserve what's coming.",
    "saw {} at the beach today, what a lovely afternoon",
    "{} pay taxes like everybody else, and they vote",
)


def reasons(*texts: str) -> list[str | None]:
    found: list[str | None] = ONE.judge(from_texts(texts)).reasons.to_pylist()
    return found


@pytest.mark.parametrize("sentence", SENTENCES)
def test_it_makes_no_difference_which_group_is_named(sentence: str) -> None:
    assert len(set(reasons(*map(sentence.format, NAMES)))) == 1


def test_a_reason_names_the_probability_and_the_words_that_weigh_most() -> None:
    (found,) = reasons("If you ask me, the Jews control everything and they deserve what's coming.")
    assert found is not None
    assert re.fullmatch(r"weights:attack p=0\.\d\d [\w' {}]+(, [\w' {}]+){2}", found)


def test_words_that_weigh_enough_need_somebody_who_is_named() -> None:
    text = "If you ask me, {} control everything and they deserve what's coming."
    assert reasons(text.format("Jews"))[0] is not None
    camps = ("banks", "liberals", "conservatives", "MAGA", "Democrats", "they", "the Tories")
    assert reasons(*map(text.format, camps)) == [None] * len(camps)


@pytest.mark.parametrize(
    "text",
    [
        "{}? Racist nonsense, all of it.",
        "Apparently {} now.",
        "He wrote \"{}\" on the wall of the school.",
        "Nobody should say that {}",
    ],
)  # fmt: skip
def test_what_excuses_a_text_stops_the_weights(text: str) -> None:
    attack = "the Jews control everything and they deserve what's coming"
    assert reasons(f"If you ask me, {attack}.")[0] is not None
    assert reasons(text.format(attack)) == [None]


def test_what_excuses_a_rule_stops_the_weights_too() -> None:
    report = "he called me a faggot and I left, they are vermin, they should all burn"
    assert reasons(report) == [None]


@pytest.fixture(scope="module")
def written() -> dict[str, list[weights.Text]]:
    return weights.written()


def test_the_weights_are_those_that_the_stored_texts_make(
    written: dict[str, list[weights.Text]],
) -> None:
    made = weights.learnt([text for theirs in written.values() for text in theirs])
    stored = read_weights(weights_path(NAME))
    assert made.keys() == stored.keys()
    assert max(abs(made[sign] - stored[sign]) for sign in stored) < 0.02


@pytest.mark.scenario
def test_writers_who_were_left_out(written: dict[str, list[weights.Text]]) -> None:
    """The rules aside: weights learnt from the others let nearly all that is harmless through.

    Not looked at is what the author of the rules wrote in pairs, to be told from one another.
    """
    pairs = ("beside_rules", "pairs")
    writers = {name: texts for name, texts in written.items() if name not in pairs}
    figures = {name: shares for name, *shares in weights.left_out(writers)}
    assert min(let_through for _, let_through in figures.values()) >= 0.99
    assert all(found >= 0.1 for found, _ in figures.values())
    assert lexicon(NAME)["evidence"]["enough"] > 0


@pytest.mark.parametrize("line", ["nothing", "much\ttext", "1\ttoo\tmany"])
def test_a_file_that_has_no_weights_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "weights.tsv"
    path.write_text(f"# a comment\n{line}\n")
    with pytest.raises(ValueError, match=r"unpack|convert"):
        read_weights(path)


def test_a_sum_at_the_very_bound_is_the_same_in_every_process() -> None:
    """The order of a set of signs is another in each, and so were the last digits of its sum."""
    code = (
        "from bsky_assets.filters.judging.hate_speech import HateSpeechFilter;"
        "from bsky_assets.filters.posts import from_texts;"
        "texts = ['Is there a worse person than a disabled person?'];"
        "print(HateSpeechFilter().judge(from_texts(texts)).reasons.to_pylist())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=plain_environment() | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
