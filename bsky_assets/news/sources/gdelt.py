"""Article lists of GDELT's DOC API: `mode=artlist&format=json`.

Source: https://blog.gdeltproject.org/gdelt-doc-2-0-api-debuts/
"""

from collections.abc import Iterator

import orjson

from bsky_assets.news.items import Item, instant, make_item
from bsky_assets.news.sources import Kind


def _read(_place: str, content: bytes) -> Iterator[Item | None]:
    listed = orjson.loads(content)
    articles = listed.get("articles", []) if isinstance(listed, dict) else None
    if not isinstance(articles, list):
        raise ValueError("it has no list of articles")
    for one in articles:
        article = one if isinstance(one, dict) else {}
        yield make_item(
            article.get("url"),
            article.get("title"),
            outlet=article.get("domain"),
            language=article.get("language"),
            dates=(instant(article.get("seendate")),),
        )


KIND = Kind("gdelt", lambda _place, content: content.lstrip()[:1] == b"{", _read)
