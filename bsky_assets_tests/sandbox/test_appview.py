"""The sandbox's AppView, through the atproto SDK, whose lexicon models judge its answers."""

import base64
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from atproto import Client
from atproto import models as lexicon
from atproto_client import exceptions
from atproto_client.models import get_or_create

from bsky_assets_tests.support.serving import account, post, served
from bsky_sandbox.appview import AppView, Feed
from bsky_sandbox.http_faults import HttpFaults
from bsky_sandbox.moderation import SandboxLabel
from bsky_sandbox.posts import SandboxPost, blob
from bsky_sandbox.sessions import APP_PASSWORD
from bsky_sandbox.xrpc import RateLimit

FEED = "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.generator/catch-up"
PRIVATE = "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.generator/for-you"
LABELER = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"


def label(uri: str, val: str, **fields: Any) -> SandboxLabel:
    common: dict[str, Any] = {"seq": 1, "src": LABELER, "cid": None, "neg": False, "exp": None}
    cts = "2026-11-20T10:00:00.000Z"
    return SandboxLabel(**common | {"uri": uri, "val": val, "cts": cts} | fields)


def picture(name: str) -> dict[str, Any]:
    return blob(sum(name.encode()), "image/jpeg", 1000)


def ref(post: SandboxPost) -> dict[str, str]:
    return {"uri": post.uri, "cid": post.cid}


def images(*names: str) -> dict[str, Any]:
    return {
        "$type": "app.bsky.embed.images",
        "images": [
            {
                "alt": f"picture of {name}",
                "image": picture(name),
                "aspectRatio": {"width": 4, "height": 3},
            }
            for name in names
        ],
    }


def record(target: SandboxPost) -> dict[str, Any]:
    return {"$type": "app.bsky.embed.record", "record": ref(target)}


EXTERNAL = {
    "$type": "app.bsky.embed.external",
    "external": {
        "uri": "https://news.example/a",
        "title": "A title",
        "description": "What it says",
        "thumb": picture("thumb"),
    },
}
FILM = blob(17, "video/mp4", 1_000_000)
VIDEO = {
    "$type": "app.bsky.embed.video",
    "video": FILM,
    "alt": "waves",
    "aspectRatio": {"width": 16, "height": 9},
}
GALLERY = {
    "$type": "app.bsky.embed.gallery",
    "items": [
        {
            "$type": "app.bsky.embed.gallery#image",
            "alt": "a dune",
            "image": picture("dune"),
            "aspectRatio": {"width": 1, "height": 1},
        }
    ],
}
POLL = {
    "$type": "com.example.embed.poll",
    "question": "Tea or coffee?",
    "options": ["tea", "coffee"],
}

PEOPLE = [account(number) for number in range(5)]
BOT = account(9, labels=["bot"])
PLAIN = [post(number, PEOPLE[number % 5]) for number in range(130)]
GONE = [post(200, is_deleted=True), post(201, PEOPLE[3], account_status="takendown")]
QUOTE = post(300, embed=record(PLAIN[0]))
EMBEDDED = {
    "images": post(310, embed=images("one", "two")),
    "external": post(311, embed=EXTERNAL),
    "video": post(312, embed=VIDEO),
    "gallery": post(313, embed=GALLERY),
    "record": post(314, embed=record(QUOTE)),
    "recordWithMedia": post(
        315,
        embed={
            "$type": "app.bsky.embed.recordWithMedia",
            "record": {"record": ref(PLAIN[1])},
            "media": images("x"),
        },
    ),
    "poll": post(316, embed=POLL),
    "gone": post(317, embed=record(GONE[0])),
}
REPLIES = [
    post(400 + number, PEOPLE[4], reply={"root": ref(target), "parent": ref(target)})
    for number, target in enumerate([*PLAIN, *GONE])
]
QUOTES = [post(600 + number, embed=record(target)) for number, target in enumerate(PLAIN)]
SELF_LABELLED = post(
    800,
    BOT,
    labels={"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "nudity"}]},
)
LABELS = [
    label(PLAIN[2].uri, "spam", cid=PLAIN[2].cid),
    label(PLAIN[2].uri, "rude"),
    label(PLAIN[2].uri, "rude", neg=True),
    label(PLAIN[2].uri, "threat", exp="2026-11-01T00:00:00.000Z"),
    label(PLAIN[2].uri, "misleading", exp="2100-01-01T00:00:00.000Z"),
    label(SELF_LABELLED.did, "impersonation"),
]
POSTS = [*PLAIN, *GONE, QUOTE, *EMBEDDED.values(), *REPLIES, *QUOTES, SELF_LABELLED]
SHOWN = [item for item in POSTS if item not in GONE]


def appview(**options: Any) -> AppView:
    feeds = {FEED: Feed(SHOWN), PRIVATE: Feed(PLAIN, needs_session=True)}
    return AppView(POSTS, [*PEOPLE, BOT], LABELS, feeds, **options)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(appview().app()) as url:
        yield url


@pytest.fixture(scope="module")
def items(url: str) -> list[dict[str, Any]]:
    """Every item of the public feed, page by page, as it came."""
    return [item for page in pages(url, limit=37) for item in page["feed"]]


def pages(url: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"feed": FEED, "limit": limit}
    with httpx.Client(base_url=url) as client:
        while True:
            page = client.get("/xrpc/app.bsky.feed.getFeed", params=params)
            found.append(page.raise_for_status().json())
            if "cursor" not in found[-1]:
                return found
            params["cursor"] = found[-1]["cursor"]


def get(url: str, params: dict[str, Any], **options: Any) -> httpx.Response:
    return httpx.get(f"{url}/xrpc/app.bsky.feed.getFeed", params=params, **options)


def of(items: list[dict[str, Any]], wanted: SandboxPost) -> dict[str, Any]:
    return next(item for item in items if item["post"]["uri"] == wanted.uri)


def test_the_sdk_reads_the_whole_feed(url: str) -> None:
    client, cursor, seen = Client(url), None, []
    while True:
        page = client.app.bsky.feed.get_feed({"feed": FEED, "limit": 100, "cursor": cursor})
        seen += [(item.post.uri, item.post.cid, item.post.record.text) for item in page.feed]
        if not (cursor := page.cursor):
            break
    expected = [(item.uri, item.cid, item.record["text"]) for item in SHOWN]
    assert list(dict.fromkeys(seen)) == expected
    assert len(seen) > len(expected)


@pytest.mark.parametrize("limit", [1, 2, 37, 100])
def test_pages_overlap_and_lose_nothing(url: str, limit: int) -> None:
    found = pages(url, limit)
    uris = [[item["post"]["uri"] for item in page["feed"]] for page in found]
    assert all(0 < len(page) <= limit for page in uris)
    assert list(dict.fromkeys(uri for page in uris for uri in page)) == [item.uri for item in SHOWN]
    repeated = [before[-1] == after[0] for before, after in pairwise(uris)]
    assert all(repeated) if limit > 1 else not any(repeated)


def test_every_page_keeps_to_the_lexicon_to_the_letter(url: str) -> None:
    for page in pages(url, limit=100):
        get_or_create(page, lexicon.AppBskyFeedGetFeed.Response, strict_string_format=True)


@pytest.mark.real_data
def test_views_have_the_fields_that_an_appview_gives_them(
    items: list[dict[str, Any]], real_data: Path
) -> None:
    """Fields are those of any captured answer; which are always there, of today's AppView."""

    def captured(folders: str) -> dict[str, list[set[str]]]:
        paths = real_data.glob(f"feeds/{folders}/*.json")
        return views_in([json.loads(path.read_text()) for path in paths])

    ours, known, todays = views_in(items), captured("a*"), captured("appview-*")
    assert len(todays.keys() & ours.keys()) > 15
    for kind in known.keys() & ours.keys():
        assert set().union(*ours[kind]) <= set().union(*known[kind]), kind
    for kind in todays.keys() & ours.keys():
        if len(todays[kind]) >= 5:
            always = set.intersection(*todays[kind]) - {"viewer"}
            assert all(always <= fields for fields in ours[kind]), kind


def views_in(value: Any, member_of: str = "") -> dict[str, list[set[str]]]:
    """The fields of each view in `value`, by its $type or the place in which it is."""
    found: dict[str, list[set[str]]] = defaultdict(list)
    if isinstance(value, list):
        parts = [(part, member_of) for part in value]
    elif isinstance(value, dict):
        parts = [(part, name) for name, part in value.items() if name not in ("record", "value")]
        parts += [(part, "") for name, part in value.items() if name in ("record", "value")]
        kind = str(value.get("$type", "author" if member_of == "by" else member_of))
        if "#" in kind or kind in ("post", "author", "reply", "external"):
            found[kind].append(value.keys() - {"$type"})
    else:
        return {}
    for part, name in parts:
        for kind, views in views_in(part, name).items():
            found[kind] += views
    return found


def test_the_record_comes_back_as_it_was_written(items: list[dict[str, Any]]) -> None:
    for wanted in SHOWN:
        found = of(items, wanted)["post"]
        assert found["record"] == wanted.record
        assert found["author"]["did"] == wanted.did
        counts = [found[f"{what}Count"] for what in ("like", "reply", "repost", "quote")]
        assert counts == [7, 6, 5, 4]
        assert found["indexedAt"] == "2026-11-20T12:30:01.250Z"


def test_each_kind_of_embed_has_its_view(items: list[dict[str, Any]]) -> None:
    views = {name: of(items, wanted)["post"]["embed"] for name, wanted in EMBEDDED.items()}
    kinds = {name: view["$type"] for name, view in views.items()}
    assert kinds.pop("poll") == "com.example.embed.poll#view"
    assert kinds.pop("gone") == "app.bsky.embed.record#view"
    assert kinds == {name: f"app.bsky.embed.{name}#view" for name in kinds}
    assert [image["alt"] for image in views["images"]["images"]] == [
        "picture of one",
        "picture of two",
    ]
    assert views["external"]["external"]["uri"] == "https://news.example/a"
    assert views["video"]["cid"] == FILM["ref"]["$link"]
    assert views["gallery"]["items"][0]["alt"] == "a dune"
    quote = views["record"]["record"]
    assert (quote["uri"], quote["value"]) == (QUOTE.uri, QUOTE.record)
    assert quote["embeds"][0]["record"]["uri"] == PLAIN[0].uri
    assert views["recordWithMedia"]["record"]["record"]["uri"] == PLAIN[1].uri
    assert views["recordWithMedia"]["media"]["images"][0]["alt"] == "picture of x"
    assert views["poll"]["question"] == "Tea or coffee?"
    gone = views["gone"]["record"]
    assert (gone["$type"], gone["uri"]) == ("app.bsky.embed.record#viewNotFound", GONE[0].uri)


def test_quotes_can_be_blocked_or_detached(items: list[dict[str, Any]]) -> None:
    quoted = [of(items, wanted)["post"]["embed"]["record"] for wanted in QUOTES]
    assert [view["uri"] for view in quoted] == [target.uri for target in PLAIN]
    kinds = {view["$type"].partition("#")[2] for view in quoted}
    assert kinds == {"viewRecord", "viewBlocked", "viewDetached"}


def test_replies_name_what_they_answer_even_if_it_cannot_be_seen(
    items: list[dict[str, Any]],
) -> None:
    parents = [of(items, wanted)["reply"]["parent"] for wanted in REPLIES]
    assert [parent["uri"] for parent in parents] == [target.uri for target in [*PLAIN, *GONE]]
    kinds = [parent["$type"].partition("#")[2] for parent in parents]
    assert set(kinds) == {"postView", "blockedPost", "notFoundPost"}
    assert kinds[-2:] == ["notFoundPost", "notFoundPost"]


def test_some_items_have_a_reason(items: list[dict[str, Any]]) -> None:
    assert items[0]["reason"]["$type"] == "app.bsky.feed.defs#reasonPin"
    reposts = [item for item in items[1:] if "reason" in item]
    assert 0 < len(reposts) < len(items) / 5
    for item in reposts:
        assert item["reason"]["$type"] == "app.bsky.feed.defs#reasonRepost"
        assert item["reason"]["by"]["did"] != item["post"]["author"]["did"]


def test_labels_stand_unless_taken_back_or_expired(items: list[dict[str, Any]]) -> None:
    on_post = of(items, PLAIN[2])["post"]["labels"]
    assert [(label["src"], label["val"]) for label in on_post] == [
        (LABELER, "spam"),
        (LABELER, "misleading"),
    ]
    own = of(items, SELF_LABELLED)["post"]
    assert [(label["src"], label["val"]) for label in own["labels"]] == [
        (SELF_LABELLED.did, "nudity")
    ]
    assert [label["val"] for label in own["author"]["labels"]] == ["impersonation", "bot"]


def test_posts_are_there_by_their_addresses_and_those_that_are_gone_are_left_out(url: str) -> None:
    asked = [PLAIN[1], *GONE, EMBEDDED["poll"], PLAIN[1]]
    found = Client(url).app.bsky.feed.get_posts({"uris": [post.uri for post in asked]}).posts
    assert [(post.uri, post.cid) for post in found] == [
        (post.uri, post.cid) for post in (PLAIN[1], EMBEDDED["poll"])
    ]


def test_profiles_are_there_by_did_or_handle_with_their_followers(url: str) -> None:
    asked = [PEOPLE[0].did, PEOPLE[1].handle, "did:plc:nobodynobodynobodynobody"]
    found = Client(url).app.bsky.actor.get_profiles({"actors": asked}).profiles
    assert [profile.did for profile in found] == [PEOPLE[0].did, PEOPLE[1].did]
    assert all((profile.followers_count or 0) > 0 for profile in found)


@pytest.mark.parametrize(
    ("method", "name", "values"),
    [
        ("app.bsky.feed.getPosts", "uris", [PLAIN[0].uri] * 26),
        ("app.bsky.feed.getPosts", "uris", ["https://bsky.app"]),
        ("app.bsky.feed.getPosts", "uris", []),
        ("app.bsky.actor.getProfiles", "actors", [PEOPLE[0].did] * 26),
    ],
)
def test_what_is_asked_for_by_name_is_bounded(
    url: str, method: str, name: str, values: list[str]
) -> None:
    answer = httpx.get(f"{url}/xrpc/{method}", params={name: values})
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidRequest"


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"feed": FEED, "limit": 0}, "InvalidRequest", "less than 1"),
        ({"feed": FEED, "limit": 101}, "InvalidRequest", "greater than 100"),
        ({"feed": FEED, "limit": "ten"}, "InvalidRequest", "integer"),
        ({"limit": 10}, "InvalidRequest", '"feed"'),
        ({"feed": "catch-up"}, "InvalidRequest", "at-uri"),
        ({"feed": FEED, "cursor": "page-2"}, "InvalidRequest", "cursor"),
        (
            {"feed": FEED, "cursor": base64.b64encode(b"5.00000000").decode()},
            "InvalidRequest",
            "cursor",
        ),
        ({"feed": FEED + "s"}, "UnknownFeed", "could not find feed"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    url: str, params: dict[str, Any], error: str, message: str
) -> None:
    answer = get(url, params)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert message in answer.json()["message"]


def test_other_methods_are_not_there(url: str) -> None:
    with pytest.raises(exceptions.RequestException) as caught:
        Client(url).app.bsky.feed.get_timeline()
    assert caught.value.response is not None
    assert caught.value.response.status_code == 501
    assert httpx.post(f"{url}/xrpc/app.bsky.feed.getFeed").status_code == 405


def test_a_feed_that_needs_a_session_opens_to_one(url: str) -> None:
    client = Client(url)
    with pytest.raises(exceptions.UnauthorizedError) as caught:
        client.app.bsky.feed.get_feed({"feed": PRIVATE})
    assert caught.value.response is not None
    assert caught.value.response.content.error == "AuthMissing"
    profile = client.login(PEOPLE[1].handle, APP_PASSWORD)
    assert profile is not None
    assert profile.did == PEOPLE[1].did
    feed = client.app.bsky.feed.get_feed({"feed": PRIVATE}).feed
    assert [item.post.uri for item in feed] == [item.uri for item in PLAIN[:50]]
    assert feed[0].post.viewer is not None
    assert client.com.atproto.server.get_session().handle == PEOPLE[1].handle


@pytest.mark.parametrize(
    ("identifier", "password"),
    [(PEOPLE[1].handle, "guess"), ("nobody.test", APP_PASSWORD), ("did:plc:x", APP_PASSWORD)],
)
def test_a_wrong_login_is_refused(url: str, identifier: str, password: str) -> None:
    with pytest.raises(exceptions.UnauthorizedError) as caught:
        Client(url).login(identifier, password)
    assert caught.value.response is not None
    assert caught.value.response.content.error == "AuthenticationRequired"
    assert password not in str(caught.value)


def test_sessions_expire_and_the_sdk_renews_them() -> None:
    """The SDK refreshes within 15 minutes of the end, so these sessions are always due."""
    view = appview(session_seconds=600)
    with served(view.app()) as url:
        client = Client(url)
        client.login(PEOPLE[0].handle, APP_PASSWORD)
        expired = client.export_session_string()
        view.sessions.now = lambda: time.time() + 601
        headers = {"Authorization": f"Bearer {expired.split(':::')[2]}"}
        answer = get(url, {"feed": PRIVATE}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "ExpiredToken")
        assert client.app.bsky.feed.get_feed({"feed": PRIVATE}).feed
        assert client.export_session_string() != expired
    assert view.sessions.logins == 1


def test_a_refresh_token_is_good_once_and_for_nothing_else(url: str) -> None:
    body = {"identifier": PEOPLE[2].did, "password": APP_PASSWORD}
    session = httpx.post(f"{url}/xrpc/com.atproto.server.createSession", json=body).json()
    headers = {"Authorization": f"Bearer {session['refreshJwt']}"}
    assert get(url, {"feed": PRIVATE}, headers=headers).json()["error"] == "InvalidToken"
    refresh = f"{url}/xrpc/com.atproto.server.refreshSession"
    renewed = httpx.post(refresh, headers=headers).raise_for_status().json()
    assert (renewed["did"], renewed["active"]) == (PEOPLE[2].did, True)
    assert httpx.post(refresh, headers=headers).json()["error"] == "ExpiredToken"
    forged = {"Authorization": f"Bearer {renewed['accessJwt'][:-2]}xx"}
    assert get(url, {"feed": PRIVATE}, headers=forged).json()["error"] == "InvalidToken"
    payload = renewed["accessJwt"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["sub"] == PEOPLE[2].did


def test_requests_are_rationed_and_the_headers_say_so() -> None:
    with served(appview(limit=RateLimit(requests=3, seconds=60)).app()) as url:
        answers = [get(url, {"feed": FEED, "limit": 1}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    last = answers[-1]
    assert last.json() == {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}
    assert last.headers["RateLimit-Policy"] == "3;w=60"
    assert 0 < int(last.headers["RateLimit-Reset"]) - time.time() <= 60
    assert 0 < int(last.headers["Retry-After"]) <= 60


def test_faults_are_set_while_it_runs() -> None:
    with served(appview().app()) as url:

        def statuses(faults: HttpFaults) -> list[int]:
            httpx.post(f"{url}/faults", content=faults.model_dump_json()).raise_for_status()
            return [get(url, {"feed": FEED}).status_code for _ in range(20)]

        mixed = HttpFaults(seed=3, p429=0.3, p500=0.3, retry_after=2)
        assert set(statuses(mixed)) == {200, 429, 500}
        assert statuses(mixed) == statuses(mixed)
        httpx.post(f"{url}/faults", json={"p429": 1, "retry_after": 2})
        refused = get(url, {"feed": FEED})
        assert refused.headers["Retry-After"] == "2"
        assert refused.json()["error"] == "RateLimitExceeded"
        httpx.post(f"{url}/faults", json={"p_malformed": 1})
        with pytest.raises(json.JSONDecodeError):
            get(url, {"feed": FEED}).json()
        httpx.post(f"{url}/faults", json={"p_reset": 1})
        with pytest.raises(httpx.ReadError):
            get(url, {"feed": FEED})
        httpx.post(f"{url}/faults", json={"p_hang": 1})
        with pytest.raises(httpx.ReadTimeout):
            get(url, {"feed": FEED}, timeout=httpx.Timeout(100, read=0.2))
