"""What of a reply can be used: the answers in it, where the server has read all that it was sent.

What does not belong here: the form of answers; see `answers`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bsky_assets.labelling.asking.answers import Answer, AnswerForm, Invalid, read_answers
from bsky_assets.labelling.asking.endpoint import Reply
from bsky_assets.labelling.asking.preflight import Preflight
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import Question

_QUESTION_TOKENS = 64
"""At most, of the question that the preflight asks after the prompt."""
_LONGER_WORD = re.compile(rb"[A-Za-z]{4,}")


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the replies of one model to requests with one prompt."""

    preflight: Preflight
    prompt: Prompt

    def form(self, posts: int) -> AnswerForm:
        """What the answer about so many posts has: no echoes where nothing can be cut off or
        confused."""
        proven = posts == 1 and self.preflight.shows_reading
        return replace(self.prompt.form, has_echoes=not proven)

    def read(self, questions: Sequence[Question], reply: Reply) -> list[Answer | Invalid] | Invalid:
        """The answer to each of `questions`, where `reply` can be relied on."""
        if reply.refusal:
            return Invalid("refused")
        form, counted = self.form(len(questions)), reply.prompt_tokens
        if counted is None and not form.has_echoes:
            return Invalid("not_read")
        if counted is not None and self._is_cut(questions, reply, counted):
            return Invalid("prompt_cut")
        return read_answers(
            reply.content,
            self.prompt.code,
            [question.text for question in questions],
            form,
            cut_off=reply.cut_off,
            tokens=reply.tokens,
        )

    def _is_cut(self, questions: Sequence[Question], reply: Reply, counted: int) -> bool:
        """Whether the server read less than it was sent, by its own count.

        A server that cuts what does not fit fills its context; and what was sent has at least the
        tokens of the prompt, and one for each longer word of the posts.
        """
        context = self.preflight.context_tokens
        if context is not None and counted + (reply.completion_tokens or 0) >= context:
            return True
        words = len(_LONGER_WORD.findall(self.prompt.text.encode()))
        least = max((self.preflight.prompt_tokens or 0) - _QUESTION_TOKENS, words)
        least += sum(len(_LONGER_WORD.findall(one.payload)) for one in questions)
        return max(counted, counted + (reply.cached_tokens or 0)) < least
