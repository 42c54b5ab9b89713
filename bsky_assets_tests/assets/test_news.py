"""The group of news: there where BSKY_NEWS_FEEDS names any, and nowhere else."""

from pathlib import Path

from dagster import AssetKey, DagsterInstance, materialize

from bsky_assets.contracts.details import EmbeddingDetails
from bsky_assets.contracts.news import ArticleEmbedding
from bsky_assets.definitions import build_defs
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import today
from bsky_assets_tests.news.hosts import NewsHost, ago, rss, settings_of
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmServer


def news_group(settings: Settings) -> set[str]:
    graph = build_defs(settings).resolve_asset_graph()
    return {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if key.path[-1] in {*NEWS, "news_views"}
    }


NEWS = {"news_articles", "article_embeddings", "news_context", "context_effect"}


def test_without_feeds_there_is_no_asset_of_news(tmp_path: Path) -> None:
    assert news_group(settings_of(tmp_path, {})) == set()
    feeds = {"a": "https://a.example/rss"}
    assert news_group(settings_of(tmp_path, feeds)) == NEWS
    assert news_group(settings_of(tmp_path, {}, news_views=True)) == set()
    assert news_group(settings_of(tmp_path, feeds, news_views=True)) == {*NEWS, "news_views"}
    for context, reads in (("off", False), ("proven", True), ("on", True)):
        defs = build_defs(settings_of(tmp_path, feeds, news_context=context))
        labels = defs.resolve_asset_graph().get(AssetKey("llm_labels"))
        assert (AssetKey("news_context") in labels.parent_keys) == reads
        assert (AssetKey("context_effect") in labels.parent_keys) == (context == "proven")
        assert AssetKey("news_views") not in labels.parent_keys
        summed_up = build_defs(
            settings_of(tmp_path, feeds, news_context=context, news_views=True)
        ).resolve_asset_graph()
        labels = summed_up.get(AssetKey("llm_labels"))
        assert (AssetKey("news_views") in labels.parent_keys) == reads
        effect = summed_up.get(AssetKey("context_effect"))
        assert AssetKey("news_views") in effect.parent_keys


def test_articles_get_vectors_and_without_a_model_the_day_goes_on(tmp_path: Path) -> None:
    news = NewsHost()
    news.pages["a"] = rss(("https://a.example/1", "Senate votes on the budget", "", ago(1)))
    with served(news.app()) as url, served(LlmServer(()).app()) as llm:
        feeds = {"a": f"{url}/a", "down": "http://127.0.0.1:9/rss"}
        for base, says in ((f"{llm}/v1", None), ("http://127.0.0.1:9/v1", "run again later")):
            settings = settings_of(
                tmp_path / str(says), feeds, embeddings_base_url=base, embeddings_model="sandbox"
            )
            defs, day = build_defs(settings), today(settings.timezone)
            with DagsterInstance.ephemeral() as instance:
                done = materialize(
                    [
                        defs.resolve_assets_def(AssetKey(name))
                        for name in sorted(NEWS - {"news_context", "context_effect"})
                    ],
                    partition_key=day.isoformat(),
                    instance=instance,
                )
            assert done.success
            (check,) = done.get_asset_check_evaluations()
            assert not check.passed
            assert "down: 127.0.0.1:9 cannot be read" in str(check.description)
            partition = Lake.of(settings).current(ArticleEmbedding, day)
            assert partition
            told = partition.told(EmbeddingDetails)
            assert partition.rows == (0 if says else 1)
            assert (told.problem is None) == (says is None)
            assert says is None or says in str(told.problem)
