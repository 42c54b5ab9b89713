"""What posts say: a text, what is true of it, and what goes with it.

What belongs here: choosing among the templates in `texts/`. What does not: records (`records`)
and who posts when (`world`).
"""

from dataclasses import dataclass, replace
from random import Random

from bsky_assets.sandbox.grammar import Grammar, texts
from bsky_assets.sandbox.posts import Ideology

UNDETERMINED = "und"

_LEANS: tuple[Ideology, ...] = ("left", "right", "moderate", "unclear")
_SHARES_OF_LEANS = (0.5, 0.2, 0.08, 0.22)
_POLITICAL = 0.25
_COUNTER_SPEECH = 0.012
_TOPICLESS = ("replies", "greetings")


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
    needs_picture: bool = False
    alt: str | None = None
    """The alt text, where the picture is the point."""


class Writer:
    """Writes posts."""

    def __init__(self, rng: Random) -> None:
        """Choose with `rng`."""
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
        self._subjects = [name for name in self._topics["topics"] if name not in _TOPICLESS]

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
            return self._on_topic("replies")
        return self._on_topic("greetings" if chance > 0.97 else self._rng.choice(self._subjects))

    def hate(self) -> Written:
        """A hateful post."""
        text = self._one(self._hateful, self._hate["hate"])
        return Written(_sentence(text) + self._end(), "en", is_hate_speech=True)

    def spam(self) -> Written:
        """Spam: of a campaign, by itself, or little but hashtags."""
        rng, noise = self._rng, self._noise["spam"]
        chance = rng.random()
        if chance < 0.45:
            text = self._one(self._noisy, noise["campaigns"])
        elif chance < 0.8:
            text = self._one(self._noisy, noise["scams"])
        else:
            text = self._one(self._noisy, noise["stuffed"])
            text += " " + " ".join(f"#{tag}" for tag in rng.sample(noise["tags"], 12))
        if chance < 0.8 and rng.random() < 0.5:
            count = rng.randint(1, 4)
            text += "\n\n" + " ".join(f"#{tag}" for tag in rng.sample(noise["tags"], count))
        return Written(text, "en", is_spam=True)

    def nsfw(self, language: str) -> Written:
        """A post for adults. Its text or its author's label says so, or both."""
        rng, noise = self._rng, self._noise["nsfw"]
        label = rng.choice(("porn", "sexual", "nudity")) if rng.random() < 0.6 else None
        alt = rng.choice(noise["alts"])
        if language != "en":
            written = self._in_language(language)
            return replace(
                written, is_nsfw=True, label=label or "porn", needs_picture=True, alt=alt
            )
        if label and rng.random() < 0.35:
            text = self._one(self._noisy, noise["innocuous"])
            return Written(text, "en", is_nsfw=True, label=label, needs_picture=True, alt=alt)
        text = self._one(self._noisy, noise["sentences"])
        if rng.random() < 0.6:
            text += " " + " ".join(
                f"#{tag}" for tag in rng.sample(noise["tags"], rng.randint(1, 4))
            )
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
            title = self._in_language(language).text.split("\n")[0]
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
        rng = self._rng
        lean = rng.choices(_LEANS, _SHARES_OF_LEANS)[0]
        sentences = self._politics[lean]
        text = _sentence(self._one(self._political, sentences)) + self._end()
        if rng.random() < 0.25:
            text += " " + _sentence(self._one(self._political, sentences)) + self._end()
        if rng.random() < 0.25:
            text += " #" + rng.choice(self._politics[f"tags_{lean}"])
        return Written(text, "en", is_political=True, ideology=lean)

    def _counter_speech(self) -> Written:
        text = _sentence(self._one(self._hateful, self._hate["counter"])) + self._end()
        return Written(text, "en", is_political=True, ideology="left")

    def _on_topic(self, name: str) -> Written:
        rng, topic = self._rng, self._topics["topics"][name]
        text = self._one(self._topic, topic["sentences"])
        if topic.get("short"):
            return Written(self._decorated(text), "en")
        text = _sentence(text)
        if rng.random() < 0.2:
            text = f"{rng.choice(self._topics['openers'])} {text}"
            text = _sentence(self._topic.fill(rng, text))
        text += self._end()
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            gap = rng.choice((" ", " ", "\n\n"))
            text += gap + _sentence(self._one(self._topic, topic["sentences"])) + self._end()
        if rng.random() < 0.2:
            text += " " + self._one(self._topic, self._topics["closers"])
        text = self._decorated(text)
        if topic["tags"] and rng.random() < 0.25:
            chosen = rng.sample(topic["tags"], min(len(topic["tags"]), rng.randint(1, 3)))
            text += rng.choice((" ", "\n\n")) + " ".join(f"#{tag}" for tag in chosen)
        return Written(text, "en")

    def _in_language(self, language: str) -> Written:
        rng, words = self._rng, texts(language)
        grammar = self._foreign.get(language)
        if grammar is None:
            grammar = self._foreign[language] = Grammar(words["slots"])
        text = self._one(grammar, words["sentences"])
        if rng.random() < 0.45:
            gap = rng.choice(("\n", ". ", " — ", "\n\n", "! "))
            text += gap + self._one(grammar, words["sentences"])
        text = self._decorated(text)
        if rng.random() < 0.2:
            text += " #" + rng.choice(words["tags"])
        return Written(text, language)

    def _decorated(self, text: str) -> str:
        """`text`, in some with an emoji or two."""
        rng = self._rng
        if rng.random() < 0.22:
            text += " " + rng.choice(self._topics["emoji"]) * rng.choice((1, 1, 1, 2, 3))
        return text

    def _end(self) -> str:
        return self._rng.choice((".", ".", "", "", "!"))

    def _one(self, grammar: Grammar, templates: list[str]) -> str:
        return grammar.fill(self._rng, self._rng.choice(templates))


def _sentence(text: str) -> str:
    """`text` with its first letter as a capital."""
    return text[:1].upper() + text[1:]
