"""What a student learns from: texts of stored posts, with labels of record or those by people."""

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import pandas as pd

from bsky_assets.analysis.coding.room import decided, open_room, rooms
from bsky_assets.analysis.students.kept import IDEOLOGY, POLITICS
from bsky_assets.analysis.students.training import CannotBeTaught, Student, teach
from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.labelling.asking.answers import NOT_SOCIOPOLITICAL
from bsky_assets.labelling.embedding.embedder import embedder_of
from bsky_assets.settings import Settings
from bsky_assets.storage.connection import in_memory
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.sql import literal

MODEL, PEOPLE = "model", "people"
EMBEDDINGS, WORDS = "embeddings", "fasttext"
"""What a student reads texts by: vectors that are given, or words whose vectors it learns."""
LESSONS = 20_000
"""Of a model's labels no more are taken, the same on every run: a linear student learns no more."""


def texts_of(settings: Settings, days: Sequence[date], limit: int | None = None) -> pd.DataFrame:
    """uri, author, text, day and label of record of the labelled posts of `days`, by hash."""
    lake = Lake.of(settings)
    frames = []
    with in_memory() as con:
        for day in days:
            lake.relation(con, FilteredPost, [day]).create_view("taught_posts", replace=True)
            lake.relation(con, LlmLabel, [day]).create_view("taught_labels", replace=True)
            frames.append(
                con.execute(
                    f"""
                    SELECT uri, author.did AS author, record.text AS text, $day::DATE AS day,
                        coalesce(political_ideology, {literal(NOT_SOCIOPOLITICAL)}) AS label
                    FROM taught_posts JOIN taught_labels USING (uri)
                    WHERE is_label_of_record AND was_successfully_labeled
                    ORDER BY hash(uri), uri LIMIT {limit or 2**62}
                    """,
                    {"day": day},
                ).df()
            )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def distil(
    settings: Settings, days: Sequence[date], source: str, by: str = EMBEDDINGS
) -> dict[str, Student | str]:
    """Teach a student of each question, which reads texts `by`; where one cannot be taught, why.

    Raises:
        CannotBeTaught: there is no label to learn from.
        NoEmbeddings: there is no model for vectors of texts.
    """
    learnt_from = MODEL
    if source == PEOPLE:
        lessons, learnt_from = _by_people(settings)
    else:
        lessons = texts_of(settings, days, LESSONS // max(len(days), 1))
    if lessons.empty:
        raise CannotBeTaught(f"there are no labels by {source} of stored posts to learn from")
    teacher = _teacher(settings, lessons["text"].tolist(), by)
    is_political = (lessons["label"] != NOT_SOCIOPOLITICAL).to_numpy()
    students: dict[str, Student | str] = {}
    for question, chosen, labels in (
        (POLITICS, np.ones_like(is_political), is_political.astype(str)),
        (IDEOLOGY, is_political, lessons["label"].to_numpy()),
    ):
        some = lessons[chosen]
        try:
            students[question] = teacher(
                chosen,
                labels[chosen].tolist(),
                some["author"].tolist(),
                some["day"].tolist(),
                learnt_from,
            )
        except CannotBeTaught as why:
            students[question] = str(why)
    return students


def _teacher(settings: Settings, texts: list[str], by: str) -> Callable[..., Student]:
    """What teaches a student on some of `texts`, which it reads `by` embeddings or by words."""
    if by == WORDS:
        from bsky_assets.analysis.students.words import teach_words

        every = np.asarray(texts, dtype=object)
        return lambda chosen, *told: teach_words(every[chosen].tolist(), *told)
    vectors = embedder_of(settings).embed(texts)
    return lambda chosen, *told: teach(vectors[chosen], *told)


def _by_people(settings: Settings) -> tuple[pd.DataFrame, str]:
    """The posts that people coded, with their labels, and the names of the samples."""
    labels, days, names = {}, set(), []
    for name in rooms(settings):
        room = open_room(settings, name)
        found = {room.items[number].uri: label.answer for number, label in decided(room).items()}
        if room.days and found and room.codebook.asset == LlmLabel.asset:
            labels.update(found)
            days |= {*room.days}
            names.append(name)
    posts = texts_of(settings, sorted(days))
    if posts.empty:
        return posts, ""
    coded = posts[posts["uri"].isin([*labels])]
    return coded.assign(label=coded["uri"].map(labels)), ", ".join(names)
