"""What the filters make of one text: words, disguises, contexts."""

import csv
import io
from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsky_assets.filters.config import filter_config
from bsky_assets.filters.hate_speech import HateSpeechFilter
from bsky_assets.filters.normalise import fold
from bsky_assets.filters.nsfw import NsfwFilter
from bsky_assets.filters.phrases import written_out
from bsky_assets.filters.posts import from_texts
from bsky_assets.filters.spam import SpamFilter
from bsky_assets.filters.verdicts import Filter
from bsky_assets_tests.hate_cases import CASES
from bsky_assets_tests.hate_phrasings import PHRASINGS, phrasings
from bsky_assets_tests.hate_templates import TEMPLATES, cases

NSFW = NsfwFilter(filter_config().nsfw)
SPAM = SpamFilter(filter_config().spam)
HATE_SPEECH = HateSpeechFilter()


def reason(one: Filter, text: str) -> str | None:
    return one.judge(from_texts([text])).reasons.to_pylist()[0]


@pytest.mark.parametrize(
    "text",
    [
        "free porn for everyone tonight",
        "p0rn, as much as you like",
        "ｐｏｒｎ and more",
        "рorn with a Cyrillic letter",
        "p o r n",
        "poooorn",
        "p*rn",
        "my new set is on #onlyfans",
    ],
)
def test_explicit_terms_stop_however_they_are_written(text: str) -> None:
    assert reason(NSFW, text) == "rule:explicit_term"


@pytest.mark.parametrize(
    "text",
    [
        "The senate voted on the porn age verification bill today",
        "Nurses explain what an orgasm does to your blood pressure, new study finds",
        "This bread is pure food porn",
        "A naked mole rat lives for thirty years",
        "Scunthorpe United won again",
        "Essex is lovely in the spring",
    ],
)
def test_health_news_and_harmless_words_pass(text: str) -> None:
    assert reason(NSFW, text) is None


@given(st.integers(1, 3), st.sampled_from(["\u200b", "\u200d", "\u2060", "\ufe0f"]))
def test_invisible_characters_hide_nothing(place: int, invisible: str) -> None:
    hidden = "porn"[:place] + invisible + "porn"[place:]
    assert reason(NSFW, f"watch {hidden} now") is not None


@given(st.text(max_size=80))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    once = fold(pa.array([text]))
    assert fold(once).to_pylist() == once.to_pylist()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("have a look https://bit.ly/3xyzabc", "rule:link_shortener"),
        ("#a1b #cat #dog #sun #sea #fun #joy #art #sky #day look", "rule:hashtag_stuffing"),
        (
            "hi @a.test @b.test @c.test @d.test @e.test @f.test @g.test @h.test",
            "rule:mention_stuffing",
        ),
        (
            "Earn $900 a day from home, no experience needed, message me on Telegram",
            "rule:scam_job",
        ),
        (
            "Gain 5000 real followers fast, follow back guaranteed, link in bio",
            "rule:scam_engagement",
        ),
        ("You have won a $500 gift card, claim your prize, click here", "rule:scam_prize"),
    ],
)
def test_spam_is_named(text: str, code: str) -> None:
    found = reason(SPAM, text)
    assert found is not None
    assert found.startswith(code.rsplit("_", 1)[0])


@pytest.mark.parametrize(
    "text",
    [
        "Our council will spend $900 a day on road repairs, says the report",
        "I work from home and my cat sits on the keyboard",
        "New essay on my site: https://example.org/essay #writing #essay",
        "https://habit.ly.example/path is not a short link",
        "Thanks for the follow! Lovely to meet you",
    ],
)
def test_ordinary_posts_are_not_spam(text: str) -> None:
    assert reason(SPAM, text) is None


def test_links_count_wherever_a_post_has_them() -> None:
    posts = from_texts(["see below"])
    columns = dict(zip(posts.batch.schema.names, posts.batch.columns, strict=True))
    columns["links"] = pa.array([["https://tinyurl.com/abc"]], columns["links"].type)
    linked = type(posts)(pa.RecordBatch.from_pydict(columns))
    assert SPAM.judge(linked).reasons.to_pylist() == ["rule:link_shortener"]


def test_hate_speech_by_functionality() -> None:
    """Better than chance on every kind of case, and much better on all of them together."""
    rows = list(csv.DictReader(io.StringIO(CASES)))
    found = HATE_SPEECH.judge(from_texts([row["test_case"] for row in rows])).passed.to_pylist()
    right = defaultdict(list)
    for row, passed in zip(rows, found, strict=True):
        right[row["functionality"]].append(passed == (row["label_gold"] == "non-hateful"))
    shares = {kind: sum(hits) / len(hits) for kind, hits in right.items()}
    assert {kind: share for kind, share in shares.items() if share <= 0.6} == {}
    assert sum(map(sum, right.values())) / len(rows) > 0.93


@pytest.mark.parametrize("held_out", [False, True])
def test_hate_speech_by_functionality_in_other_words(held_out: bool) -> None:
    """No case that is to be let through is stopped; every kind is told better than chance."""
    rows = cases(held_out=held_out)
    found = HATE_SPEECH.judge(from_texts([text for _, text, _ in rows])).passed.to_pylist()
    right = defaultdict(list)
    for (kind, _, is_hateful), passed in zip(rows, found, strict=True):
        right[kind].append(passed != is_hateful)
    shares = {kind: sum(hits) / len(hits) for kind, hits in right.items()}
    weak = {kind for kind, share in shares.items() if share <= 0.5}
    assert weak == set()
    harmless = [kind for kind, (is_hateful, *_) in TEMPLATES.items() if not is_hateful]
    assert {kind: shares[kind] for kind in harmless} == dict.fromkeys(harmless, 1.0)
    assert sum(map(sum, right.values())) / len(rows) > 0.93


@pytest.mark.parametrize("held_out", [False, True])
def test_hate_speech_in_plain_phrasings(held_out: bool) -> None:
    """Every kind is told better than chance, and harmless look-alikes are let through."""
    rows = phrasings(held_out=held_out)
    found = HATE_SPEECH.judge(from_texts([text for _, text, _ in rows])).passed.to_pylist()
    right = defaultdict(list)
    for (kind, _, is_hateful), passed in zip(rows, found, strict=True):
        right[kind].append(passed != is_hateful)
    shares = {kind: sum(hits) / len(hits) for kind, hits in right.items()}
    assert {kind for kind, share in shares.items() if share <= 0.6} == set()
    assert {
        kind for kind, share in shares.items() if not PHRASINGS[kind][0] and share < 1.0
    } == set()


def test_terms_are_written_out_in_full() -> None:
    assert set(written_out("(?:a|the )?big? c[ao]t")) == {
        f"{start}bi{g} c{vowel}t"
        for start in ("", "a", "the ")
        for g in ("", "g")
        for vowel in "ao"
    }
    with pytest.raises(ValueError, match="cannot be written out"):
        list(written_out(r"\w+ things"))
