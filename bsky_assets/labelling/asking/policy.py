"""How often a post is asked about, how long for, and how much a request and its answer may hold.

What does not belong here: how many requests are in flight; see `concurrency`.
"""

from dataclasses import dataclass

from bsky_assets.labelling.asking.preflight import Preflight
from bsky_assets.labelling.asking.prompt import Prompt

_CHARACTERS_A_TOKEN = 2.5
"""Of posts as JSON, at the least; English has about four."""
_USUAL_CHARACTERS = 500
"""Of a post with its context; a request has room for so many a post."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait and how often to ask."""

    invalid_answers: int = 8
    """So many answers for one post that cannot be used, and it is left with an error."""
    server_errors: int = 8
    """Likewise for the server's errors about one post alone."""
    split_after: int = 2
    """A batch is split in two after so many errors of the server."""
    retry_temperature: float = 0.5
    """Of the third and later times that a post is asked about: the same at 0 gives the same."""
    batch_characters: int = 16_000
    """A request has posts of no more than this, and of less where the context is small."""
    shortest_timeout: float = 20.0
    first_timeout: float = 180.0
    """Until it is known how long answers take; a model may have to be loaded."""
    longest_timeout: float = 900.0
    patience: float = 60.0
    """After so many seconds of failures, and no answer between them, from a server that does not
    take connections, or gives nothing but errors, all stops."""
    busy_patience: float = 1800.0
    """Likewise of a server that does nothing but turn requests away."""
    tokens_a_post: int = 24
    """For its key and first word; so many more for each label."""
    tokens_a_reason: int = 128
    tokens_more: int = 96
    """A request may have so many tokens of answer: about twice what it takes in plain JSON."""
    tokens_of_talk: int = 512
    """So many more where the server keeps to no schema, so that the answer may stand in talk."""
    tokens_of_thought: int = 4096
    """So many more where the model thinks aloud."""

    def answer_tokens(self, preflight: Preflight, prompt: Prompt, posts: int) -> int:
        """How many tokens the answer about so many posts may have."""
        each = self.tokens_a_post + sum(field.most_tokens for field in prompt.form.asked)
        each += self.tokens_a_reason * prompt.form.has_reason
        talk = 0 if preflight.enforces_schema else self.tokens_of_talk
        return each * posts + self.tokens_more + talk + self.tokens_of_thought * preflight.thinks

    def room(self, preflight: Preflight, prompt: Prompt, posts: int) -> tuple[int, int]:
        """How many posts a request may have, of `posts` at most, and how many characters of them,
        in the context."""
        context = preflight.context_tokens
        if context is None:
            return posts, self.batch_characters
        left = context - (preflight.prompt_tokens or len(prompt.text) // 3)
        for size in range(posts, 0, -1):
            tokens = left - self.answer_tokens(preflight, prompt, size)
            characters = int(tokens * _CHARACTERS_A_TOKEN)
            if characters >= size * _USUAL_CHARACTERS:
                return size, min(characters, self.batch_characters)
        return 1, _USUAL_CHARACTERS
