"""Servers that answer badly and say 200, in the ways that real ones were seen to.

Each knows what a model would say of a post, and where the answer goes; none of them shares a line
with the code that reads replies.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

TRUTHS = ("not_sociopolitical", "left", "right", "moderate", "unclear")
OPENINGS = (
    "Honestly", "The", "My", "Nobody", "Two", "If", "Congress", "So", "We", "Yesterday", "Good",
    "They", "Voters", "Why", "Once",
)  # fmt: skip
POSTS = [
    f"{OPENINGS[n % len(OPENINGS)]} part {n} of what people were saying on this day about matters "
    f"of all kinds, from the council's budget to their gardens, in about as many words as usual."
    for n in range(60)
]
"""Sixty posts of the length of real ones."""


def truth(text: str) -> str:
    """What a model that reads `text` says of it."""
    return TRUTHS[sum(text.encode()) % len(TRUTHS)]


def lie(text: str) -> str:
    """What it says before it has thought, or of a post that it never saw."""
    return TRUTHS[(TRUTHS.index(truth(text)) + 1) % len(TRUTHS)]


def posts_in(body: dict[str, Any]) -> dict[str, str] | None:
    """The posts of a request; None for a question that is not about posts."""
    message = body["messages"][-1]["content"]
    if not message.startswith('{"p0"'):
        return None
    return {key: post["text"] for key, post in json.loads(message).items()}


def answered(body: dict[str, Any], labels: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """The answer in the form that the system's message describes: first word and label by key."""
    code = re.findall(r"\bcode (\d+)\.", body["messages"][0]["content"])
    told = {key: {"text": word, "label": label} for key, (word, label) in labels.items()}
    return {"code": code[0] if code else "0000", **told}


def by(judge: Callable[[str], str], posts: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {key: (text.split()[0], judge(text)) for key, text in posts.items()}


def tokens(text: str) -> int:
    return len(text) // 4


class Server:
    """One way of answering: `say` gives the message and what else there is of a completion."""

    context: int | None = None

    def __init__(self) -> None:
        self.requests = 0

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        raise NotImplementedError

    def probe(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question that is not about posts: a form that is enforced is kept."""
        form = body.get("response_format", {}).get("json_schema")
        enum = form["schema"]["properties"]["answer"]["enum"] if form else ["blue"]
        return {"content": json.dumps({"answer": enum[0]})}

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        posts = posts_in(body)
        message = self.probe(body) if posts is None else self.say(body, posts)
        finish = message.pop("finish_reason", "stop")
        counted = message.pop("prompt_tokens", sum(tokens(m["content"]) for m in body["messages"]))
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "served-under-another-name",
            "choices": [choice],
            "usage": {"prompt_tokens": counted, "completion_tokens": 50, "total_tokens": 50},
        }

    def app(self) -> web.Application:
        async def complete(request: web.Request) -> web.Response:
            body = await request.json()
            self.requests += posts_in(body) is not None
            return web.json_response(self.completion(body))

        async def models(_request: web.Request) -> web.Response:
            return web.json_response(
                {"object": "list", "data": [{"id": "fake", "object": "model"}]}
            )

        app = web.Application(client_max_size=2**25)
        app.add_routes([web.post("/v1/chat/completions", complete), web.get("/v1/models", models)])
        return app


class ThoughtsWithoutOpening(Server):
    """The template opens the thoughts in the prompt; they hold a draft of the answer."""

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        draft = json.dumps(answered(body, by(lie, posts)))
        answer = json.dumps(answered(body, by(truth, posts)))
        return {"content": f"draft with {draft} but no </think> {answer}"}


class FormatRestated(Server):
    """Says first what the form is, for as many posts as it likes."""

    def __init__(self, examples: int) -> None:
        super().__init__()
        self.examples = examples

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        shown = {f"p{n}": next(iter(posts.values())) for n in range(self.examples)}
        example = json.dumps(answered(body, by(lie, shown)))
        answer = json.dumps(answered(body, by(truth, posts)), indent=1)
        return {"content": f"Here is the format: {example}\n\n```json\n{answer}\n```"}


class CutsThePrompt(Server):
    """Drops the beginning of what does not fit, answers about what is left, makes up the rest.

    `counts` says whether it tells how many tokens it read; `keeps` how many of the first it never
    drops, as some do.
    """

    def __init__(self, room: int, *, counts: bool = True, keeps: int = 0) -> None:
        super().__init__()
        self.room, self.counts, self.keeps = room, counts, keeps

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        posts = posts_in(body)
        whole = "".join(message["content"] for message in body["messages"])
        left = whole
        if tokens(whole) > self.room:
            kept = whole[: 4 * self.keeps]
            left = kept + whole[-4 * (self.room - self.keeps) :]
        done = super().completion(body)
        done["usage"]["prompt_tokens"] = tokens(left)
        if posts is not None and left != whole:
            seen = {"messages": [{"content": left}]}
            labels = {
                key: (text.split()[0], truth(text)) if text in left else ("The", lie(text))
                for key, text in posts.items()
            }
            done["choices"][0]["message"]["content"] = json.dumps(answered(seen, labels))
        if not self.counts:
            del done["usage"]
        return done

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        return {"content": json.dumps(answered(body, by(truth, posts)))}


class ShiftsKeys(Server):
    """Answers for p1 to p10 where p0 to p9 were asked for."""

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        if len(posts) == 1:
            return {"content": json.dumps(answered(body, by(truth, posts)))}
        shifted = {f"p{int(key[1:]) + 1}": said for key, said in by(truth, posts).items()}
        return {"content": json.dumps(answered(body, shifted))}


class ShiftsPosts(Server):
    """Keeps the keys, and says of each post what it thinks of the next."""

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        said = by(truth, posts)
        following = [*said.values()][1:] + [*said.values()][:1]
        return {"content": json.dumps(answered(body, dict(zip(said, following, strict=True))))}


class Always(Server):
    """Says what `message` gives of the right answer, whatever is asked."""

    def __init__(self, message: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__()
        self.message = message

    def say(self, body: dict[str, Any], posts: dict[str, str]) -> dict[str, Any]:
        answer = answered(body, by(truth, posts))
        return self.message(json.dumps(answer), answer)
