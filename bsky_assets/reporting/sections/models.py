"""What the models were asked, how they fared, and how long they took."""

from collections.abc import Iterable, Iterator

from bsky_assets.contracts import LlmLabel
from bsky_assets.contracts.details import LabelDetails, ModelRound
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Code, Column, Notice, Section, Table, Value
from bsky_assets.storage.partition import Partition


def section(day: StoredDay) -> Section | None:
    """A row for each model, the model of record first."""
    models = day.labels.told(LabelDetails).models if day.labels else ()
    if not models:
        return None
    columns = (
        Column("model"),
        Column("asked", "Posts that it was asked about.", is_number=True),
        Column("known", "Posts whose answer was known already.", is_number=True),
        Column("failed", "Posts without a valid answer in the end.", is_number=True),
        Column("again", "How often it had to be asked once more.", is_number=True),
        Column("time", "Half of the answers came within the first, 95% within the second.", True),
    )
    table = Table("Models that were asked", columns, tuple(map(_row, models)))
    notices = [*_notices(models), *_lowered(day.labels), *_without_news(day.labels)]
    return Section("models", "Models", (table,), tuple(notices))


def _lowered(labels: Partition | None) -> Iterator[Notice]:
    if labels and (said := labels.told(LabelDetails).lowered):
        todo = "Set BSKY_LLM_BATCH_SIZE to it, or take another model."
        yield Notice(LlmLabel.asset, said, todo)


def _without_news(labels: Partition | None) -> Iterator[Notice]:
    news = labels.told(LabelDetails).news if labels else None
    if news and news.problem:
        said = f"Posts were labelled without news: {news.problem}"
        yield Notice(LlmLabel.asset, said, "Mend it, or set BSKY_NEWS_CONTEXT=off.")


def _notices(models: Iterable[ModelRound]) -> Iterator[Notice]:
    for model in models:
        for said in model.notices:
            todo = "Mend it at the endpoint, or know it of these labels."
            yield Notice(LlmLabel.asset, f"{model.model}: {said}", todo)


def _row(model: ModelRound) -> tuple[Value, ...]:
    times = model.latency_seconds
    return (
        Code(model.model),
        model.questions,
        model.already_known,
        model.failed,
        sum(model.retries.values()),
        f"{times['p50']:.2f}, {times['p95']:.2f} s" if times else None,
    )
