"""The bot filter: posts of accounts that a program runs.

It rests on facts alone: labels, lists and habits of the account, gathered for the whole day by
`moderation` and `accounts`. What one text shows is not evidence of a bot.
"""

from collections.abc import Mapping
from typing import Any

from bsky_assets.filters.posts import Posts
from bsky_assets.filters.registry import Sources
from bsky_assets.filters.verdicts import Verdicts


class BotFilter:
    """Stops what programs post."""

    name = "bot"
    passes_if = False

    def judge(self, posts: Posts) -> Verdicts:
        """Stop posts of accounts that the day's facts name."""
        return Verdicts(posts.facts(self.name))


def make(_: Mapping[str, Any], __: Sources) -> BotFilter:
    """The filter by its declaration."""
    return BotFilter()
