"""What an AppView makes of a post: its record and what others did with it, as views.

What does not belong here: pages and feeds, and which posts there are.
Source: lexicons app.bsky.feed.defs, app.bsky.actor.defs and app.bsky.embed.*.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from zlib import crc32

from bsky_sandbox.accounts import PROFILE, SandboxAccount
from bsky_sandbox.moderation import SandboxLabel
from bsky_sandbox.posts import Json, SandboxPost, cid_of, timestamp

_CDN = "https://cdn.sandbox.invalid"
"""Where pictures would be; nothing is to be fetched from there."""

_BLOCKED, _DETACHED = 1, 2
_ODDITIES = 19
_DEEPEST_QUOTE = 2


class Views:
    """Makes views of posts, with the labels that stand on them now."""

    def __init__(
        self,
        posts: Iterable[SandboxPost],
        accounts: Iterable[SandboxAccount],
        labels: Iterable[SandboxLabel],
    ) -> None:
        """Know `posts`, their authors, and `labels` in the order in which they were made."""
        self._posts = {post.uri: post for post in posts}
        self.authors = {account.did: account for account in accounts}
        """By DID."""
        self._labels: dict[str, dict[tuple[str, str], SandboxLabel]] = defaultdict(dict)
        for label in labels:
            if label.neg:
                self._labels[label.uri].pop((label.src, label.val), None)
            else:
                self._labels[label.uri][label.src, label.val] = label

    def profile(self, did: str, *, signed_in: bool) -> Json:
        """A profileViewBasic. A viewer's relation is told only within a session."""
        account = self.authors[did]
        view: Json = {"did": did, "handle": account.handle}
        if account.display_name is not None:
            view["displayName"] = account.display_name
        if account.avatar is not None:
            view["avatar"] = f"{_CDN}/img/avatar/plain/{did}/{account.avatar}@jpeg"
        view["associated"] = {"chat": {"allowIncoming": "none"}}
        view["labels"] = self._labels_on(did) + _self_labels(
            did, f"at://{did}/{PROFILE}/self", account.profile
        )
        view["createdAt"] = account.profile["createdAt"]
        if signed_in:
            view["viewer"] = {"muted": False, "blockedBy": False}
        return view

    def detailed_profile(self, did: str, *, signed_in: bool) -> Json:
        """A profileViewDetailed: the same with counts, of which few are large."""
        followers = 10**6 // (1 + crc32(did.encode()) % 10**5)
        return {
            **self.profile(did, signed_in=signed_in),
            "followersCount": followers,
            "followsCount": crc32(did.encode()) % 500,
        }

    def is_active(self, did: str) -> bool:
        """Whether there is such an account, and it can be seen."""
        return did in self.authors and self.authors[did].status == "active"

    def post(self, post: SandboxPost, *, signed_in: bool) -> Json:
        view: Json = {
            "uri": post.uri,
            "cid": post.cid,
            "author": self.profile(post.did, signed_in=signed_in),
            "record": post.record,
        }
        if embed := post.record.get("embed"):
            view["embed"] = self._embed(embed, post.did, signed_in=signed_in)
        view |= {
            "bookmarkCount": 0,
            **_counts(post),
            "indexedAt": timestamp(post.indexed_at),
            "labels": self._labels_on(post.uri) + _self_labels(post.did, post.uri, post.record),
        }
        if signed_in:
            view["viewer"] = {"threadMuted": False, "embeddingDisabled": False}
        return view

    def reply(self, post: SandboxPost, *, signed_in: bool) -> Json | None:
        """A replyRef with the posts that `post` answers; None if it answers none."""
        reply = post.record.get("reply")
        if not reply:
            return None
        return {
            end: self._answered(str(reply[end]["uri"]), signed_in=signed_in)
            for end in ("root", "parent")
        }

    def _answered(self, uri: str, *, signed_in: bool) -> Json:
        post = self.visible(uri)
        kind = "app.bsky.feed.defs#"
        if post is None:
            return {"$type": f"{kind}notFoundPost", "uri": uri, "notFound": True}
        if _oddity(uri) == _BLOCKED:
            return {"$type": f"{kind}blockedPost", **_blocked(post)}
        return {"$type": f"{kind}postView", **self.post(post, signed_in=signed_in)}

    def visible(self, uri: str) -> SandboxPost | None:
        """The post at `uri`, unless it or its author is gone."""
        post = self._posts.get(uri)
        if post is None or post.is_deleted or post.account_status != "active":
            return None
        return post

    def _embed(self, embed: Json, did: str, *, signed_in: bool, depth: int = 0) -> Json:
        kind = str(embed.get("$type"))
        view: Json = {"$type": f"{kind}#view"}
        match kind:
            case "app.bsky.embed.images":
                pictures = [_picture(image, did, "thumb") for image in embed["images"]]
                return view | {"images": pictures}
            case "app.bsky.embed.gallery":
                typed = {"$type": f"{kind}#viewImage"}
                items = [typed | _picture(item, did, "thumbnail") for item in embed["items"]]
                return view | {"items": items}
            case "app.bsky.embed.video":
                return view | _video(embed, did)
            case "app.bsky.embed.external":
                return view | {"external": _external(embed["external"], did)}
            case "app.bsky.embed.record":
                quoted = self._quoted(str(embed["record"]["uri"]), depth, signed_in=signed_in)
                return view | {"record": quoted}
            case "app.bsky.embed.recordWithMedia":
                record = {"$type": "app.bsky.embed.record", **embed["record"]}
                return view | {
                    "record": self._embed(record, did, signed_in=signed_in, depth=depth),
                    "media": self._embed(embed["media"], did, signed_in=signed_in, depth=depth),
                }
        return {**embed, **view}

    def _quoted(self, uri: str, depth: int, *, signed_in: bool) -> Json:
        post = self.visible(uri)
        kind = "app.bsky.embed.record#"
        if post is None:
            return {"$type": f"{kind}viewNotFound", "uri": uri, "notFound": True}
        if _oddity(uri) == _BLOCKED:
            return {"$type": f"{kind}viewBlocked", **_blocked(post)}
        if _oddity(uri) == _DETACHED:
            return {"$type": f"{kind}viewDetached", "uri": uri, "detached": True}
        view: Json = {
            "$type": f"{kind}viewRecord",
            "uri": uri,
            "cid": post.cid,
            "author": self.profile(post.did, signed_in=signed_in),
            "value": post.record,
            "labels": self._labels_on(uri) + _self_labels(post.did, uri, post.record),
            **_counts(post),
            "indexedAt": timestamp(post.indexed_at),
        }
        embed = post.record.get("embed")
        if depth < _DEEPEST_QUOTE:
            view["embeds"] = (
                [self._embed(embed, post.did, signed_in=signed_in, depth=depth + 1)]
                if embed
                else []
            )
        return view

    def _labels_on(self, uri: str) -> list[Json]:
        now = timestamp(datetime.now(UTC))
        return [
            _label(label)
            for label in self._labels.get(uri, {}).values()
            if label.exp is None or label.exp > now
        ]


def _label(label: SandboxLabel) -> Json:
    view: Json = {"ver": 1, "src": label.src, "uri": label.uri, "val": label.val, "cts": label.cts}
    if label.cid is not None:
        view["cid"] = label.cid
    if label.exp is not None:
        view["exp"] = label.exp
    return view


def _self_labels(did: str, uri: str, record: Json) -> list[Json]:
    values = record.get("labels", {}).get("values", [])
    if not values:
        return []
    common = {"src": did, "uri": uri, "cid": cid_of(record), "cts": record["createdAt"]}
    return [{**common, "val": part["val"]} for part in values]


def _counts(post: SandboxPost) -> Json:
    return {
        "replyCount": post.reply_count,
        "repostCount": post.repost_count,
        "likeCount": post.like_count,
        "quoteCount": post.quote_count,
    }


def _blocked(post: SandboxPost) -> Json:
    author = {"did": post.did, "viewer": {"blockedBy": True}}
    return {"uri": post.uri, "blocked": True, "author": author}


def _picture(image: Json, did: str, small: str) -> Json:
    cid = image["image"]["ref"]["$link"]
    view: Json = {
        small: f"{_CDN}/img/feed_thumbnail/plain/{did}/{cid}@jpeg",
        "fullsize": f"{_CDN}/img/feed_fullsize/plain/{did}/{cid}@jpeg",
        "alt": image["alt"],
    }
    if "aspectRatio" in image:
        view["aspectRatio"] = image["aspectRatio"]
    return view


def _video(embed: Json, did: str) -> Json:
    cid = embed["video"]["ref"]["$link"]
    place = f"{_CDN}/watch/{did}/{cid}"
    view = {"cid": cid, "playlist": f"{place}/playlist.m3u8", "thumbnail": f"{place}/thumbnail.jpg"}
    return view | {name: embed[name] for name in ("alt", "aspectRatio") if name in embed}


def _external(external: Json, did: str) -> Json:
    view = {name: external[name] for name in ("uri", "title", "description")}
    if thumb := external.get("thumb"):
        view["thumb"] = f"{_CDN}/img/feed_thumbnail/plain/{did}/{thumb['ref']['$link']}@jpeg"
    return view


def _oddity(uri: str) -> int:
    return crc32(uri.encode()) % _ODDITIES
