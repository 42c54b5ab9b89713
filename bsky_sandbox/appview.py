"""The sandbox's AppView: feeds, posts, profiles, and the sessions that some feeds ask for.

It answers and refuses as Bluesky's own does, so that any client of the AT Protocol can read
it. What does not belong here: how a post looks (`views`) and what happens to its tokens
(`sessions`).
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from aiohttp import web

from bsky_sandbox.accounts import SandboxAccount
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.moderation import SandboxLabel
from bsky_sandbox.posts import Json, SandboxPost, timestamp
from bsky_sandbox.sessions import Sessions
from bsky_sandbox.views import Views
from bsky_sandbox.xrpc import RateLimit, XrpcError, XrpcServer, bounded, required

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100
_MOST_AT_ONCE = 25
"""Posts or profiles that are asked for by name."""

_AT_URI = re.compile(r"at://[a-zA-Z0-9._:%-]+/[a-zA-Z0-9.-]+/[a-zA-Z0-9._~:-]+", re.ASCII)
_REPOST_ONE_IN = 23


@dataclass(frozen=True)
class Feed:
    """A feed as its generator puts it together."""

    items: Sequence[SandboxPost]
    """Its posts, best first, each once."""
    needs_session: bool = False


class AppView:
    """Serves feeds. `server.injector.faults` can be replaced while it runs."""

    def __init__(
        self,
        posts: Iterable[SandboxPost],
        accounts: Sequence[SandboxAccount],
        labels: Iterable[SandboxLabel],
        feeds: Mapping[str, Feed],
        *,
        faults: HttpFaults | None = None,
        limit: RateLimit | None = None,
        session_seconds: float = 7200,
    ) -> None:
        """Show `posts` in `feeds` (by AT URI); let `accounts` log in."""
        self.views = Views(posts, accounts, labels)
        self._feeds = feeds
        self._dids = {account.handle: account.did for account in accounts}
        handles = {account.did: account.handle for account in accounts}
        self.sessions = Sessions(handles, seconds=session_seconds)
        self.server = XrpcServer(faults, limit)
        self.server.query("app.bsky.feed.getFeed", self._get_feed)
        self.server.query("app.bsky.actor.getProfile", self._get_profile)
        self.server.query("app.bsky.actor.getProfiles", self._get_profiles)
        self.server.query("app.bsky.feed.getPosts", self._get_posts)
        self.server.query("com.atproto.server.getSession", self.sessions.get)
        self.server.procedure("com.atproto.server.createSession", self.sessions.create)
        self.server.procedure("com.atproto.server.refreshSession", self.sessions.refresh)

    def app(self) -> web.Application:
        """The AppView as an application, to be run where the caller pleases."""
        return self.server.app()

    async def _get_profile(self, request: web.Request) -> Json:
        actor = required(request, "actor")
        viewer = self.sessions.viewer(request)
        did = self._dids.get(actor, actor)
        if did not in self.views.authors:
            raise XrpcError.invalid_request("Profile not found")
        return self.views.profile(did, signed_in=viewer is not None)

    async def _get_profiles(self, request: web.Request) -> Json:
        """Of accounts that are there; others are left out, as the AppView does."""
        dids = [self._dids.get(actor, actor) for actor in _several(request, "actors")]
        signed_in = self.sessions.viewer(request) is not None
        return {
            "profiles": [
                self.views.detailed_profile(did, signed_in=signed_in)
                for did in dict.fromkeys(dids)
                if self.views.is_active(did)
            ]
        }

    async def _get_posts(self, request: web.Request) -> Json:
        """Of posts that can be seen; others are left out, as the AppView does."""
        uris = _several(request, "uris")
        if any(not _AT_URI.fullmatch(uri) for uri in uris):
            raise XrpcError.invalid_request("Error: uris/0 must be a valid at-uri")
        signed_in = self.sessions.viewer(request) is not None
        found = (self.views.visible(uri) for uri in dict.fromkeys(uris))
        return {"posts": [self.views.post(post, signed_in=signed_in) for post in found if post]}

    async def _get_feed(self, request: web.Request) -> Json:
        uri = required(request, "feed")
        if not _AT_URI.fullmatch(uri):
            raise XrpcError.invalid_request("Error: feed must be a valid at-uri")
        limit = bounded(request, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
        signed_in = self.sessions.viewer(request) is not None
        if (feed := self._feeds.get(uri)) is None:
            raise XrpcError(400, "UnknownFeed", "could not find feed")
        if feed.needs_session and not signed_in:
            raise XrpcError(401, "AuthMissing", "Authentication Required")
        start = _position(request.query.get("cursor"))
        shown = _page(start, limit, len(feed.items))
        page: Json = {
            "feed": [self._item(feed, position, signed_in=signed_in) for position in shown]
        }
        if shown.stop < len(feed.items):
            page["cursor"] = _cursor(shown.stop)
        return page

    def _item(self, feed: Feed, position: int, *, signed_in: bool) -> Json:
        post = feed.items[position]
        item: Json = {"post": self.views.post(post, signed_in=signed_in)}
        if reply := self.views.reply(post, signed_in=signed_in):
            item["reply"] = reply
        if reason := self._reason(feed, position, signed_in=signed_in):
            item["reason"] = reason
        item["feedContext"] = f"sandbox:{position}"
        return item

    def _reason(self, feed: Feed, position: int, *, signed_in: bool) -> Json | None:
        """Why a post is there: the first is pinned, some were reposted by another author."""
        if position == 0:
            return {"$type": "app.bsky.feed.defs#reasonPin"}
        post, by = feed.items[position], feed.items[position - 1]
        if crc32(post.uri.encode()) % _REPOST_ONE_IN or by.did == post.did:
            return None
        rkey = post.uri.rpartition("/")[2]
        return {
            "$type": "app.bsky.feed.defs#reasonRepost",
            "by": self.views.profile(by.did, signed_in=signed_in),
            "uri": f"at://{by.did}/app.bsky.feed.repost/{rkey}",
            "cid": post.cid,
            "indexedAt": timestamp(post.indexed_at),
        }


def _several(request: web.Request, name: str) -> list[str]:
    """A parameter that the lexicon requires, and allows to be given some times."""
    values = request.query.getall(name, [])
    if not values:
        raise XrpcError.invalid_request(f'Error: Params must have the property "{name}"')
    if len(values) > _MOST_AT_ONCE:
        raise XrpcError.invalid_request(
            f"Error: {name} must not have more than {_MOST_AT_ONCE} elements"
        )
    return values


def _page(start: int, limit: int, length: int) -> range:
    """Which items a page shows: after the first page, first again the last one before it.

    Feeds move while they are read, so that real pages overlap likewise.
    """
    first = start - 1 if start > 0 and limit > 1 else start
    return range(min(first, length), min(first + limit, length))


def _cursor(position: int) -> str:
    text = f"{position}.{crc32(str(position).encode()):08x}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        position = int(text.partition(".")[0])
    except (binascii.Error, ValueError):
        position = -1
    if position < 0 or _cursor(position) != cursor:
        raise XrpcError.invalid_request("Malformed cursor")
    return position
