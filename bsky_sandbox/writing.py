"""What posts say: a text, what is true of it, and what goes with it.

What belongs here: choosing among the templates in `texts/`. What does not: records (`records`)
and who posts when (`world`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from bsky_sandbox.grammar import Grammar, texts
from bsky_sandbox.posts import Ideology

UNDETERMINED = "und"

_LEANS: tuple[Ideology, ...] = ("left", "right", "moderate", "unclear")
_SHARES_OF_LEANS = (0.5, 0.2, 0.08, 0.22)
_POLITICAL = 0.25
_COUNTER_SPEECH = 0.012
_LONGEST = 250
_NEVER_ALONE = 0.8
"""How often something follows a sentence that is always the same."""
_STOPS = {"ja": "。", "zh": "。", "hi": "।", "th": ""}
_CONTINUING = ",—"
_LOWER = re.compile(
    r"(The|My|Our|We|This|That|Your|New|Every|Some|Saw|Made|Got|Two|Trying|Learning|Looking"
    r"|Watching|Reading|Why|What|How|Who|Is|There|It|People|Both|You)\b"
)


@dataclass(slots=True)
class Written:
    """A text, and what a careful person would say of it."""

    text: str
    language: str
    is_nsfw: bool = False
    is_spam: bool = False
    is_hate_speech: bool = False
    is_political: bool = False
    ideology: Ideology | None = None
    link: str | None = None
    """What its link card leads to."""
    headline: str | None = None
    """The title of its link card."""
    label: str | None = None
    """What its author says of it by a self-label."""
    is_verbatim: bool = False
    """Whether it is posted as it is, with nothing around it."""
    needs_picture: bool = False
    alt: str | None = None
    """The alt text, where the picture is the point."""


class Writer:
    """Writes posts."""

    def __init__(self, rng: Random, campaigns: int) -> None:
        """Choose with `rng`; spammers run so many campaigns."""
        self._rng = rng
        self._topics = texts("en_topics")
        self._politics = texts("en_politics")
        self._noise = texts("en_noise")
        self._hate = texts("en_hate")
        self._topic = Grammar(self._topics["slots"])
        self._political = Grammar(self._politics["slots"])
        self._noisy = Grammar(self._noise["slots"])
        self._hateful = Grammar(self._hate["slots"])
        self._foreign: dict[str, Grammar] = {}
        templates = self._noise["spam"]["campaigns"]
        self._campaigns = [
            self._one(self._noisy, templates).replace("LINK", "{short}") for _ in range(campaigns)
        ]
        self._subjects = list(self._topics["topics"])

    def person(self, language: str, *, reply: bool) -> Written:
        """What a person says, in whichever language it is; an answer may be short."""
        if self._rng.random() < 0.035:
            return self._wordless()
        if language != "en":
            return self._in_language(language)
        chance = self._rng.random()
        if chance < _COUNTER_SPEECH:
            return self._counter_speech()
        if chance < _COUNTER_SPEECH + _POLITICAL:
            return self._politics_post()
        if reply and chance < 0.7:
            return self._short("replies")
        if chance > 0.97:
            return self._short("greetings")
        return self._on_topic(self._rng.choice(self._subjects))

    def hate(self) -> Written:
        """A hateful post."""
        text = self._paragraph(self._hateful, self._hate["hate"], self._rng.choice((1, 1, 2)))
        return Written(self._decorated(text, 0.05), "en", is_hate_speech=True)

    def spam(self) -> Written:
        """Spam: of a campaign, by itself, or little but hashtags."""
        rng, noise = self._rng, self._noise["spam"]
        chance = rng.random()
        if chance < 0.8:
            templates = self._campaigns if chance < 0.45 else noise["scams"]
            text = self._one(self._noisy, templates)
            count = rng.choice((0, 0, 0, 1, 2, 4))
        else:
            text = self._one(self._noisy, noise["stuffed"])
            count = rng.randint(9, 14)
        return Written(_tagged(rng, text, noise["tags"], count), "en", is_spam=True)

    def nsfw(self, language: str) -> Written:
        """A post for adults. Its text or its author's label says so, or both."""
        rng, noise = self._rng, self._noise["nsfw"]
        label = rng.choice(("porn", "sexual", "nudity")) if rng.random() < 0.6 else None
        alt = rng.choice(noise["alts"])
        if language != "en":
            written, label = self._in_language(language), label or "porn"
            return replace(written, is_nsfw=True, label=label, needs_picture=True, alt=alt)
        if label and rng.random() < 0.35:
            text = self._one(self._noisy, noise["innocuous"])
            return Written(text, "en", is_nsfw=True, label=label, needs_picture=True, alt=alt)
        text = self._paragraph(self._noisy, noise["sentences"], rng.choice((1, 1, 1, 2)))
        text = _tagged(rng, self._decorated(text), noise["tags"], rng.choice((0, 0, 1, 2, 3, 4)))
        picture = rng.random() < 0.6
        return Written(text, "en", is_nsfw=True, label=label, needs_picture=picture, alt=alt)

    def repeated(self) -> str:
        """What a program says again and again."""
        return self._one(self._noisy, self._noise["bot"]["repeated"])

    def mirrored(self, language: str, site: str) -> Written:
        """An article that a program passes on: its title and where it is."""
        rng = self._rng
        if language == "en":
            title = _sentence(self._one(self._noisy, self._noise["bot"]["headlines"]))
        else:
            title = self._one(self._grammar(language), texts(language)["sentences"])
        link = f"https://{site}/{rng.randrange(2024, 2027)}/{rng.randrange(16**8):08x}"
        text = f"{title}\n{link}" if rng.random() < 0.7 else f"{title} {link}"
        return Written(text, language, link=link, headline=title)

    def _wordless(self) -> Written:
        rng = self._rng
        if rng.random() < 0.6:
            return Written("", UNDETERMINED, needs_picture=True)
        emoji = rng.choices(self._topics["emoji"], k=rng.randint(1, 4))
        return Written("".join(emoji), UNDETERMINED)

    def _politics_post(self) -> Written:
        rng, politics = self._rng, self._politics
        lean = rng.choices(_LEANS, _SHARES_OF_LEANS)[0]
        text = self._paragraph(self._political, politics[lean], rng.choice((1, 1, 1, 2, 2, 3)))
        text = self._framed(self._political, text, politics["openers"], politics[f"closers_{lean}"])
        tags = politics[f"tags_{lean}"]
        text = _tagged(rng, self._decorated(text, 0.1), tags, rng.choice((0, 0, 0, 0, 1, 1, 2)))
        return Written(text, "en", is_political=True, ideology=lean)

    def _counter_speech(self) -> Written:
        """What speaks of hatred: an argument against it, or news and history of it."""
        ideology: Ideology = "left" if self._rng.random() < 0.7 else "unclear"
        templates = self._hate[f"counter_{ideology}"]
        text = self._paragraph(self._hateful, templates, 1)
        return Written(text, "en", is_political=True, ideology=ideology)

    def _short(self, name: str) -> Written:
        text = self._one(self._topic, texts("en_short")[name]["sentences"])
        return Written(self._decorated(text), "en")

    def _on_topic(self, name: str) -> Written:
        rng, topic = self._rng, self._topics["topics"][name]
        text = self._paragraph(self._topic, topic["sentences"], rng.choice((1, 1, 1, 2, 2, 3)))
        text = self._framed(self._topic, text, self._topics["openers"], self._topics["closers"])
        count = rng.choice((0, 0, 0, 0, 1, 2, 3))
        return Written(_tagged(rng, self._decorated(text), topic["tags"], count), "en")

    def _in_language(self, language: str) -> Written:
        rng, words = self._rng, texts(language)
        count = rng.choice((1, 1, 1, 2, 2, 2, 3))
        text = self._paragraph(
            self._grammar(language), words["sentences"], count, _STOPS.get(language, ".")
        )
        count = rng.choice((0, 0, 0, 0, 0, 1, 2))
        return Written(_tagged(rng, self._decorated(text), words["tags"], count), language)

    def _grammar(self, language: str) -> Grammar:
        if (grammar := self._foreign.get(language)) is None:
            grammar = self._foreign[language] = Grammar(texts(language)["slots"])
        return grammar

    def _paragraph(
        self, grammar: Grammar, templates: Sequence[str], count: int, stop: str = "."
    ) -> str:
        """So many sentences, as far as they fit into a post. The last may end without a stop."""
        rng = self._rng
        text = ""
        gap = rng.choice((" ", " ", " ", "\n", "\n\n"))
        chosen = rng.sample(templates, count)
        if count == 1 and "{" not in chosen[0] and rng.random() < _NEVER_ALONE:
            chosen.append(rng.choice(templates))
        for template in dict.fromkeys(chosen):
            sentence = _sentence(grammar.fill(rng, template))
            if text and len(text) + len(sentence) > _LONGEST - 20:
                break
            if text:
                text = _stopped(text, rng.choice((stop, stop, "!"))) + gap
            text += sentence
        return _stopped(text, stop) if rng.random() < 0.5 else text

    def _framed(
        self, grammar: Grammar, text: str, openers: Sequence[str], closers: Sequence[str]
    ) -> str:
        """`text`, in some with a few words before it or after it."""
        rng = self._rng
        chance = rng.random()
        if chance < 0.16:
            opener = self._one(grammar, openers)
            text = f"{opener} {_continued(text) if opener[-1] in _CONTINUING else text}"
        elif chance < 0.34 and len(text) < _LONGEST - 50:
            gap = rng.choice((" ", "\n\n"))
            text = f"{_stopped(text, '.')}{gap}{self._one(grammar, closers)}"
        return text

    def _decorated(self, text: str, share: float = 0.22) -> str:
        """`text`, in some with an emoji or two."""
        rng = self._rng
        if rng.random() < share:
            text += " " + rng.choice(self._topics["emoji"]) * rng.choice((1, 1, 1, 2, 3))
        return text

    def _one(self, grammar: Grammar, templates: Sequence[str]) -> str:
        return grammar.fill(self._rng, self._rng.choice(templates))


def _tagged(rng: Random, text: str, tags: Sequence[str], count: int) -> str:
    """`text` with some hashtags after it, as far as they fit into a post."""
    if not count or not tags:
        return text
    chosen = rng.sample(tags, min(count, len(tags)))
    while chosen and len(text) + sum(map(len, chosen)) + 2 * len(chosen) > _LONGEST:
        chosen.pop()
    if not chosen:
        return text
    return text + rng.choice((" ", "\n\n")) + " ".join(f"#{tag}" for tag in chosen)


def _sentence(text: str) -> str:
    """`text` with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def _continued(text: str) -> str:
    """`text` as it goes on after a comma."""
    return text[0].lower() + text[1:] if _LOWER.match(text) else text


def _stopped(text: str, stop: str) -> str:
    """`text` with a full stop, unless it has one or ends with something else than words."""
    return text + stop if text and text[-1].isalnum() else text
