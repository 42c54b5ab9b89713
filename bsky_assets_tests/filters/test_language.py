"""What counts as English, on texts of every kind."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import fasttext
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.filters.config import BUILT_IN_LANGUAGE_MODEL
from bsky_assets.filters.measuring.measures import Confusion
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.verdicts import Filter
from bsky_assets.filters.words import identification
from bsky_assets.filters.words.identification import LanguageModel
from bsky_assets.filters.words.language import clean
from bsky_assets_tests.filters.posts import built_in

MAJOR = "en es pt fr de it nl sv da nb fi pl cs tr id ja ko ru ar zh".split()  # noqa: SIM905 -- shorter
LEAST_PRECISION, LEAST_RECALL = 0.98, 0.95


@pytest.fixture(scope="module")
def english() -> Filter:
    return built_in("english")


def passes(
    english: Filter,
    texts: Sequence[str],
    langs: Sequence[Sequence[str] | None] | None = None,
) -> list[bool]:
    return english.judge(from_texts(texts, langs)).passed.to_pylist()


def test_everyday_texts(english: Filter) -> None:
    texts = {
        "I can't believe they cancelled the show after one season": True,
        "so true": True,
        "lol same": True,
        "𝓘 𝓪𝓶 𝓼𝓸 𝓽𝓲𝓻𝓮𝓭 𝓽𝓸𝓭𝓪𝔂": True,
        "Check this: https://example.com/wetter/heute great photo of my dog": True,
        "bom dia, como vocês estão?": False,
        "Ich habe heute keine Zeit, vielleicht morgen": False,
        "今日は寒い": False,
        "NHKのニュース": False,
        "Привет, как дела": False,
    }
    assert dict(zip(texts, passes(english, list(texts)), strict=True)) == texts


@pytest.mark.parametrize(
    "text", ["", " \n ", "😀🔥", "https://example.com/a", "@who.test #tag", "123"]
)
def test_without_words_there_is_no_language(english: Filter, text: str) -> None:
    verdicts = english.judge(from_texts([text]))
    assert verdicts.reasons.to_pylist() == ["language:und no text"]
    assert verdicts.columns["language"].to_pylist() == [None]


def test_scripts_need_no_model(english: Filter) -> None:
    verdicts = english.judge(from_texts(["오늘은 춥다", "สวัสดีครับ", "שלום לכולם"]))
    assert verdicts.columns["language"].to_pylist() == ["ko", "th", "he"]
    assert verdicts.columns["language_probability"].to_pylist() == [None] * 3


def test_langs_tip_the_scale_of_a_short_text_but_never_decide(english: Filter) -> None:
    unclear = "nap o'clock 🐩"
    assert passes(english, [unclear] * 2, [["en"], ["nl"]]) == [True, False]
    foreign = "eu queria um fone de ouvido novo para o trabalho"
    native = "we should all go home now and get some sleep tonight"
    assert passes(english, [foreign, native], [["en"], ["pt"]]) == [False, True]


@given(st.lists(st.text(max_size=200), max_size=5))
def test_a_cleaned_text_stands_on_one_line(texts: list[str]) -> None:
    cleaned = clean(pa.array(texts, pa.string())).to_pylist()
    assert len(cleaned) == len(texts)
    assert not any("\n" in text or "http://" in text for text in cleaned)


@settings(deadline=None)
@given(st.lists(st.text(max_size=120), min_size=1, max_size=8))
def test_any_text_gets_a_verdict(texts: list[str]) -> None:
    verdicts = _anything().judge(from_texts(texts))
    shares = verdicts.columns["language_probability"].to_pylist()
    assert len(verdicts.reasons) == len(texts)
    assert all(share is None or 0 <= share <= 1 for share in shares)


PIECES = (
    "the",
    "day",
    "Straße",
    "não",
    "it's",
    "ça",
    "hello",
    "bom",
    "-",
    "O.K.",
    "x",
    "мир",
    "z" * 40,
)


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(PIECES) | st.text(st.characters(categories=["L"])), max_size=30),
        min_size=1,
        max_size=8,
    )
)
def test_identification_agrees_with_fasttext(texts: list[list[str]]) -> None:
    lines = [" ".join(" ".join(words).split()) for words in texts]
    found = _model().identify(pa.array(lines, pa.string()))
    for line, language, share, wanted in zip(
        lines, found.likely.to_pylist(), found.share, found.wanted, strict=True
    ):
        said = {
            label.removeprefix("__label__"): min(one, 1.0)
            for one, label in fasttext_model().f.predict(f"{line}\n", 176, 0.0, "strict")
        }
        assert said[language] == pytest.approx(share, abs=1e-4)
        assert max(said.values()) == pytest.approx(share, abs=1e-4)
        assert said.get("en", 0) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.filterwarnings("error")
def test_a_text_that_leaves_no_doubt_is_no_reason_to_warn() -> None:
    found = _model().identify(pa.array(["寝る前に日記をする"]))
    assert found.likely.to_pylist() == ["ja"]
    assert found.wanted.tolist() == pytest.approx([0], abs=1e-4)


def test_identification_starts_anew_when_it_remembers_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = pa.array(["good morning everyone", "bom dia meus amigos", "so true", "good day"])
    before = _model().identify(texts)
    monkeypatch.setattr(identification, "_REMEMBERED", 1)
    for _ in range(2):
        again = _model().identify(texts)
        assert again.likely == before.likely
        assert again.share == pytest.approx(before.share)
        assert again.listed.tolist() == before.listed.tolist()


def test_a_model_that_does_not_know_the_language_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not built like lid\.176"):
        LanguageModel(BUILT_IN_LANGUAGE_MODEL, "tlh", [])


@cache
def _model() -> LanguageModel:
    return LanguageModel(BUILT_IN_LANGUAGE_MODEL, "en", [frozenset({"good", "true"})])


@cache
def fasttext_model() -> Any:
    return fasttext.load_model(str(BUILT_IN_LANGUAGE_MODEL))


@cache
def _anything() -> Filter:
    return built_in("english")


@pytest.mark.real_data
@pytest.mark.parametrize("kind", ["sentences", "short"])
def test_precision_and_recall_on_real_sentences(
    english: Filter, real_data: Path, kind: str
) -> None:
    """Twenty languages, as many sentences of each, with what posts have around their text."""
    rng = random.Random(1)
    items = [
        (language, _post_like(rng, sentence if kind == "sentences" else _cut(rng, sentence)))
        for language in MAJOR
        for sentence in (real_data / f"labelled/lingua-sentences/{language}.txt")
        .read_text()
        .splitlines()
        for _ in range(6 if kind == "short" and language == "en" else 1)
    ]
    lengths = [len(text) for text in clean(pa.array([text for _, text in items])).to_pylist()]
    items = [item for item, length in zip(items, lengths, strict=True) if length >= 20]
    found = passes(english, [text for _, text in items])
    measured = Confusion.count([language == "en" for language, _ in items], found)
    assert (measured.precision or 0) >= LEAST_PRECISION
    assert (measured.recall or 0) >= LEAST_RECALL


def _cut(rng: random.Random, sentence: str) -> str:
    words = sentence.split(" ")
    text = " ".join(words[rng.randrange(max(1, len(words) // 2)) :])
    return text[: rng.choice((25, 30, 40, 60, 80))].rsplit(" ", 1)[0]


def _post_like(rng: random.Random, text: str) -> str:
    before = "@someone.test " if rng.random() < 0.3 else ""
    after = rng.choice(("", "", " 😀🔥", " https://example.com/a/b", " #news"))
    return before + text + after
