"""Ends a run in which nothing that the model says can be used, and says what to change.

What does not belong here: servers that are busy, slow or away, which are waited for; see `asking`.
"""

from collections import Counter
from collections.abc import Sequence

from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import Answer, Invalid
from bsky_assets.labelling.asking.endpoint import Reply, shorten
from bsky_assets.labelling.asking.preflight import Preflight, raise_context
from bsky_assets.labelling.asking.questions import Question

REQUESTS = 36
"""So many in a row without a usable answer, and it is ended."""
POSTS = 36
"""Posts that they must be about where the model has given usable answers before: a few posts that
it cannot answer are no reason to end."""

_THINKS = (
    "the model thinks aloud: turn thinking off where the model is served, or take one that does "
    "not think"
)
_FORM = "the model does not keep to the form: take another, or a server that enforces JSON schemas"
_CURES = {
    "truncated": _FORM,
    "no_json": _FORM,
    "answered_twice": _FORM,
    "other_keys": _FORM,
    "other_fields": _FORM,
    "not_an_object": _FORM,
    "unknown_label": _FORM,
    "another_text": "the model mistakes posts for one another: lower BSKY_LLM_BATCH_SIZE, or take "
    "another model",
    "refused": "the model refuses to answer: take another",
}


class NothingUsable(UserError):
    """Nothing that the model says can be used."""


class Breaker:
    """Counts the requests in a row that brought nothing."""

    def __init__(self, preflight: Preflight, *, is_proven: bool) -> None:
        """`is_proven` says that the model has given usable answers before."""
        self._preflight, self._is_proven = preflight, is_proven
        self._requests = 0
        self._posts: set[str] = set()
        self._codes: Counter[str] = Counter()
        self._thoughts = 0

    def note(
        self, questions: Sequence[Question], answers: Sequence[Answer | Invalid], reply: Reply
    ) -> None:
        """A reply came.

        Raises:
            NothingUsable: it was the last that there is patience for.
        """
        wrong = [answer.code for answer in answers if isinstance(answer, Invalid)]
        if len(wrong) < len(answers):
            self._is_proven, self._requests, self._thoughts = True, 0, 0
            self._posts.clear()
            self._codes.clear()
            return
        self._thoughts += reply.shows_thoughts
        said = reply.refusal or reply.content or reply.thoughts or "nothing"
        self._count(questions, Counter(wrong).most_common(1)[0][0], said)

    def note_error(self, questions: Sequence[Question], code: str, said: str) -> None:
        """The server answered with an error that is not about its load.

        Raises:
            NothingUsable: it was the last that there is patience for.
        """
        self._count(questions, code, said)

    def _count(self, questions: Sequence[Question], code: str, said: str) -> None:
        self._requests += 1
        self._codes[code] += 1
        self._posts.update(question.hash for question in questions)
        enough = not self._is_proven or len(self._posts) >= POSTS
        if self._requests >= REQUESTS and enough:
            (usual, _), *_ = self._codes.most_common(1)
            raise NothingUsable(
                f"nothing that {self._preflight.model} at {self._preflight.host} says can be used, "
                f"in {self._requests} requests in a row ({usual}; it said: {shorten(said)}); "
                f"{self._cure(usual)}; then run again"
            )

    def _cure(self, code: str) -> str:
        if 2 * self._thoughts > self._requests:
            return _THINKS
        if code in ("not_read", "prompt_cut"):
            return f"the server cuts off requests: {raise_context(self._preflight)}"
        return _CURES.get(code, "see what the server says of it")
