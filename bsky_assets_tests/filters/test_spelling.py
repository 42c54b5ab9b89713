"""Words that are run together, torn, spaced out or misspelt, and those that stay as they are."""

import re

import pyarrow as pa
import pytest

from bsky_assets.filters.judging.hate_speech import NAME
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.words.lexicon import words
from bsky_assets.filters.words.spelling import Speller
from bsky_assets_tests.filters.posts import shipped

SPELL = Speller(
    ["rats", "cats", "people", "hungry", "grey"], ["i", "like", "all", "are", "the"], ["cts"]
)
HATE_SPEECH = shipped(NAME)


def spelt(text: str) -> str:
    found: str = SPELL(pa.array([text])).to_pylist()[0]
    return found


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ilikecats", "i like cats"),
        ("#thecatsarehungry now", "#the cats are hungry now"),
        ("i l i k e  c a t s", "i like cats"),
        ("hun gry peo ple", "hungry people"),
        ("hungy poeple, gery ratz", "hungry people, grey rats"),
        ("th3 c4ts 4re hungry", "the cats are hungry"),
        ("caats and peeople", "cats and people"),
    ],
)
def test_words_of_a_list_are_put_right(written: str, meant: str) -> None:
    assert spelt(written) == meant


@pytest.mark.parametrize(
    "text",
    [
        "the cts are here",  # a word of its own
        "likecats are rats",  # of two words names are made
        "b b c, a b c, u s a",
        "3am, mp3 and 4k",
        "catsxyq ratsen",
        "",
    ],
)
def test_what_may_be_a_word_stays(text: str) -> None:
    assert spelt(text) == text


def test_a_text_that_is_null_stays_null() -> None:
    assert SPELL(pa.array([None, "ilikecats"], pa.string())).to_pylist() == [None, "i like cats"]


def test_no_english_word_is_rewritten() -> None:
    english = [word for key in ("words", "shared") for word in words("english", key)]
    alike = words(NAME, "spelt_alike")
    drawn_out = re.compile(r"(.)\1\1")
    listed = [
        word
        for word in [*english, *alike]
        if word.isalpha() and word.isascii() and not drawn_out.search(word)
    ]
    posts = from_texts(listed)
    assert HATE_SPEECH.plain(posts).to_pylist() == listed


@pytest.mark.parametrize(
    "text",
    [
        "ihateallmuslims",
        "allgaypeopleshouldburn",
        "i h a t e  a l l  w o m e n",
        "imigrnts are vermn",
        "1 h4te g4ys",
        "Mulsims are vermin",
    ],
)
def test_a_disguise_hides_no_attack(text: str) -> None:
    assert HATE_SPEECH.judge(from_texts([text])).passed.to_pylist() == [False]


@pytest.mark.parametrize(
    "text",
    [
        "#BlackLivesMatter #StopAsianHate #ProtectTransKids #YesAllWomen",
        "#muslimsagainsthate #womenagainstviolence",
        "backs and hats are vermin, transparent cuts, veils and treats",
        "Whitesnake, Scorpions, Ratt and the Damn Yankees",
    ],
)
def test_hashtags_and_names_are_no_attack(text: str) -> None:
    assert HATE_SPEECH.judge(from_texts([text])).passed.to_pylist() == [True]
