"""What an AppView shows in a feed: an item becomes a row, or it is told why it cannot.

One item at a time, so that an odd one costs nothing but itself. The post's record is read by
`records`, as it is for the firehose; views of embeds, which repeat it, are not looked at.

Source: lexicons app.bsky.feed.defs (#feedViewPost, #postView, #notFoundPost, #blockedPost),
app.bsky.actor.defs#profileViewBasic and com.atproto.label.defs#label.
"""

import re
from datetime import datetime
from typing import Annotated, Any

from atproto_client.models.string_formats import is_valid_handle
from pydantic import Field, StrictBool, StrictStr, ValidationError

from bsky_assets.bluesky.records import Unreadable, read_post_record
from bsky_assets.bluesky.shapes import Count, Did, Instant, View, what_is_wrong
from bsky_assets.sync_day import synctimestamp

POST_URI = re.compile(
    r"at://(?P<did>did:[a-z]+:[A-Za-z0-9._:%-]+)/app\.bsky\.feed\.post/(?P<rkey>[A-Za-z0-9._:~-]+)"
)
NO_HANDLE = "handle.invalid"
"""What an AppView shows for an account whose handle does not lead back to it."""


class _Label(View):
    src: StrictStr
    uri: StrictStr
    val: StrictStr
    neg: StrictBool = False
    cts: Instant | None = None
    exp: Instant | None = None


class _Author(View):
    did: Did
    handle: StrictStr | None = None
    display_name: StrictStr | None = None
    avatar: StrictStr | None = None
    labels: list[_Label] | None = None


class _Post(View):
    uri: Annotated[StrictStr, Field(pattern=f"^{POST_URI.pattern}$")]
    cid: Annotated[StrictStr, Field(min_length=1)]
    author: _Author
    record: dict[Any, Any]
    indexed_at: Instant
    like_count: Count | None = None
    reply_count: Count | None = None
    repost_count: Count | None = None
    quote_count: Count | None = None
    labels: list[_Label] | None = None


def read_item(
    item: Any, *, source_feed: str, position: int, received_at: datetime
) -> dict[str, Any]:
    """The row of `RawFeedPost` for an item of a feed's page.

    Raises:
        Unreadable: with the reason that it goes into quarantine for.
    """
    post = _post_of(item)
    try:
        view = _Post.model_validate(post)
    except ValidationError as error:
        reason, detail = what_is_wrong(error)
        raise Unreadable(reason, f"post.{detail}") from None
    return {
        "uri": view.uri,
        "cid": view.cid,
        "author": view.author.model_dump(exclude={"labels"}),
        "record": read_post_record(view.record),
        "metadata": {
            "synctimestamp": synctimestamp(received_at),
            "source_feed": source_feed,
            "url": page_of(view.uri, view.author.handle),
        },
        **view.model_dump(
            include={"indexed_at", "like_count", "reply_count", "repost_count", "quote_count"}
        ),
        "post_labels": [label.model_dump() for label in view.labels or ()],
        "author_labels": [label.model_dump() for label in view.author.labels or ()],
        "position": position,
        "received_at": received_at,
    }


def page_of(uri: str, handle: str | None) -> str:
    """The page of the post `uri` on bsky.app, under its author's handle where that is good."""
    parts = POST_URI.fullmatch(uri)
    if parts is None:
        raise ValueError("not the AT URI of a post")
    author = handle if handle and handle != NO_HANDLE and is_valid_handle(handle) else parts["did"]
    return f"https://bsky.app/profile/{author}/post/{parts['rkey']}"


def _post_of(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise Unreadable("not_an_object", "the item is not an object")
    post = item.get("post", item)
    if not isinstance(post, dict):
        raise Unreadable("not_an_object", "the item's post is not an object")
    kind = str(post.get("$type", ""))
    if post.get("notFound") is True or kind.endswith("#notFoundPost"):
        raise Unreadable("not_found_post", "the AppView does not have the post any more")
    if post.get("blocked") is True or kind.endswith("#blockedPost"):
        raise Unreadable("blocked_post", "the post is hidden by a block")
    return post
