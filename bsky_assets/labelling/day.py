"""The labels of a day: what is asked of whom, and what is written."""

from collections.abc import Callable, Sequence
from datetime import date

import duckdb

from bsky_assets.contracts import (
    FilteredPost,
    LlmLabel,
    Quarantined,
    Row,
    arrow_schema,
    contract_version,
)
from bsky_assets.contracts.codebooks import (
    ENGLISH,
    NOISE,
    Codebook,
    CodebookLabel,
    Kind,
    Stopped,
    UnusableCodebook,
)
from bsky_assets.contracts.details import Company, RecordSample
from bsky_assets.contracts.progress import Reporter, silent
from bsky_assets.errors import UserError
from bsky_assets.labelling.answer_sql import has_answer, listed
from bsky_assets.labelling.asking.batches import by_chance
from bsky_assets.labelling.asking.policy import Policy
from bsky_assets.labelling.asking.prompt import (
    Prompt,
    built_in_codebook,
    codebook_prompt,
    load_prompt,
)
from bsky_assets.labelling.asking.questions import DayQuestions, Question, day_questions
from bsky_assets.labelling.asking.rounds import Asker, Round
from bsky_assets.labelling.batch_size import batch_size_for
from bsky_assets.labelling.details import day_details
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.news_given import news_given
from bsky_assets.labelling.news_texts import NewsTexts, context_if_unclear, context_of, has_context
from bsky_assets.labelling.sample import draw
from bsky_assets.labelling.second_question import second_questions
from bsky_assets.labelling.statistics.consistency import effect_of_company
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.sql import literal

_IDENTITY = ("uri", "model", "model_digest", "prompt_version", "schema_version", "parameters")
_ANSWERS: dict[Kind, str] = {
    "boolean": "best.answer::BOOLEAN",
    "one_of": "json_extract_string(best.answer, '$')",
    "several_of": "from_json(best.answer, '[\"VARCHAR\"]')",
    "scale": "best.answer::BIGINT",
    "text": "json_extract_string(best.answer, '$')",
}


_NOT_NOISE = " AND ".join(f"{name} IS NOT TRUE" for name in NOISE)


class NothingToLabel(UserError):
    """The day has not been filtered, or not labelled by the codebook that decides who is asked."""


def codebook_of(row: type[Row]) -> Codebook:
    """What was asked for the labels of `row`."""
    return row.codebook if issubclass(row, CodebookLabel) else built_in_codebook()


def row_of(lake: Lake, codebook: str | None) -> type[Row]:
    """The contract of the labels by a codebook of that name; None: of `llm_labels`.

    Raises:
        UserError: there is no such codebook.
    """
    if codebook is None:
        return LlmLabel
    rows = {row.codebook.name: row for row in lake.rows if issubclass(row, CodebookLabel)}
    if codebook not in rows:
        there = ", ".join(rows) or "none; `bsky-assets codebook add` adds one"
        raise UserError(f"there is no codebook {codebook!r}; there are {there}")
    return rows[codebook]


def prompt_of(settings: Settings, row: type[Row] = LlmLabel) -> Prompt:
    """The prompt in force for the labels of `row`.

    Raises:
        UnusablePrompt: its files cannot be read.
    """
    if issubclass(row, CodebookLabel):
        return codebook_prompt((row.codebook,), has_reason=settings.llm_reason)
    return load_prompt(
        settings.llm_prompt,
        has_reason=settings.llm_reason,
        has_news=has_context(settings),
        has_views=settings.news_views,
    )


def label_day(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    settings: Settings,
    *,
    row: type[Row] = LlmLabel,
    progress: Reporter = silent,
    policy: Policy | None = None,
) -> Partition:
    """Label the posts of `day` that the codebook of `row` asks about, and write the partition.

    Each model is asked what is not in the ledger yet; the first labels every post, or those that
    are drawn (`sample`), the others fewer of them if the settings limit it. Labels
    that are there by another prompt or model stay, and those of posts that are not drawn any more.
    `progress` is called about once a second.

    Raises:
        NothingToLabel: the day has not been filtered, or not labelled by the codebook before.
        EndpointUnreachable: there is no endpoint, or it went away; what it answered is kept.
        EndpointRefuses: it does not take our key, model or form of request.
        NoSuchModel: it does not have a model.
        NothingUsable: nothing that a model says can be used.
        UnusablePrompt: the prompt's files cannot be read.
    """
    inputs = made_from(lake, row, day)
    prompt, codebook = prompt_of(settings, row), codebook_of(row)
    asked, sample = _asked(con, lake, day, row, settings)
    ledger_of(settings).seal_abandoned()
    size = batch_size_for(lake, row, day, settings.llm_batch_size, prompt)
    together = _together(lake, row, settings.llm_codebooks_a_request)
    asker = Asker(con, settings, prompt, day, size.posts, policy or Policy(), progress, together)
    if_unclear = _news(con, lake, day, row, settings, context_if_unclear)
    _create_tables(con, row)
    rounds: list[Round] = []
    company: Company | None = None
    for number, model in enumerate(settings.llm_models):
        questions = _sample(asked, settings.llm_sample_size if number else None)
        rounds.append(_ask(asker, model, asked, questions, if_unclear))
        if number == 0 and codebook.answer.type != "text":
            company = effect_of_company(asker, model, questions)
        _add_rows(con, row, of_record=number == 0)
    news = news_given(con, lake, settings, day, row)
    _keep_earlier_rows(con, lake, row, day)
    _write_quarantine(con, lake, row, day)
    return lake.write_query(
        con,
        row,
        day,
        "SELECT * FROM labelling_rows ORDER BY is_label_of_record DESC, uri, model, prompt_version",
        day_details(con, settings, row, prompt, asked, rounds, company, size, sample, news),
        made_from=inputs,
    )


def _ask(
    asker: Asker,
    model: str,
    asked: DayQuestions,
    questions: Sequence[Question],
    if_unclear: NewsTexts,
) -> Round:
    """Have `model` answer, with news a second time where its answer is unclear; `labelling_posts`
    then has the question whose answer counts for each post."""
    asker.con.register("labelling_posts", asked.posts)
    first = asker.ask(model, by_chance(questions, str(asker.day)), "labelling_best")
    second = second_questions(asker.con, asked, questions, if_unclear) if if_unclear else None
    if second is None:
        return first
    asker.con.register("labelling_posts", second.asked.posts)
    more = asker.ask(model, by_chance(second.questions, str(asker.day)), "labelling_best")
    return first.and_then(more)


def _news(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    row: type[Row],
    settings: Settings,
    which: Callable[[duckdb.DuckDBPyConnection, Lake, date], NewsTexts],
) -> NewsTexts:
    """What posts are told of the news; nothing where BSKY_NEWS_CONTEXT is off."""
    return which(con, lake, day) if row is LlmLabel and has_context(settings) else {}


def _asked(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, row: type[Row], settings: Settings
) -> tuple[DayQuestions, RecordSample | None]:
    """Each post that the codebook asks about and that is drawn, as a question; and the design."""
    if lake.current(FilteredPost, day) is None:
        raise NothingToLabel(f"the posts of {day} are not filtered; materialise filtered_posts")
    news = _news(con, lake, day, row, settings, context_of)
    sample = draw(con, lake, day, asked_about(con, lake, day, row, settings), row, settings)
    which = "uri IN (SELECT uri FROM labelling_drawn WHERE is_drawn)"
    return day_questions(con, lake, day, which, codebook_of(row).context, news), sample


def asked_about(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, row: type[Row], settings: Settings
) -> str:
    """A condition in SQL on the filtered posts of `day`: those that the codebook asks about.

    Raises:
        NothingToLabel: the codebook that decides it has no labels of the day.
        UnusableCodebook: BSKY_OVERRULING_CODEBOOK is none that can overrule.
    """
    codebook = codebook_of(row)
    if codebook.stopped:
        which = _of_stopped(con, lake, day, codebook.stopped)
    else:
        which = _of_languages(codebook.languages)
    if row is LlmLabel and settings.overruling_codebook:
        which = f"({which} OR {_overruled(con, lake, day, settings.overruling_codebook)})"
    if where := codebook.only_where:
        (parent,) = row.parents
        if lake.current(parent, day) is None:
            raise NothingToLabel(
                f"{row.asset} asks only where {parent.asset} has an answer, and {day} has none; "
                f"materialise {parent.asset}"
            )
        lake.relation(con, parent, [day]).create_view("labelling_ground", replace=True)
        which += (
            " AND uri IN (SELECT uri FROM labelling_ground WHERE is_label_of_record "
            f"AND was_successfully_labeled AND {has_answer(parent, where.answers)})"
        )
    return which


def _of_stopped(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, stopped: Stopped) -> str:
    """SQL for a random sample of the English posts that a filter stopped, the same on every run."""
    lake.relation(con, FilteredPost, [day]).create_view("labelling_stopped", replace=True)
    return (
        "uri IN (SELECT uri FROM labelling_stopped WHERE is_english "
        f"AND filtered_by_func = {literal(stopped.filter)} "
        f"AND starts_with(filter_reason, {literal(stopped.reasons)}) "
        f"ORDER BY sha256({literal(str(day))} || uri) LIMIT {stopped.sample})"
    )


def _overruled(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, name: str) -> str:
    """SQL for the posts that a filter stopped and of which the model of record says no to that."""
    known = {r.codebook.name: r for r in lake.rows if issubclass(r, CodebookLabel)}
    if name not in known or not known[name].codebook.is_second_opinion:
        raise UnusableCodebook(
            f"BSKY_OVERRULING_CODEBOOK: {name!r:.50} is no codebook with [stopped] and a boolean "
            "answer; add one, or unset the variable"
        )
    row = known[name]
    if lake.current(row, day) is None:
        raise NothingToLabel(f"{row.asset} decides what is labelled on {day}; materialise it first")
    lake.relation(con, row, [day]).create_view("labelling_second_opinions", replace=True)
    return (
        "uri IN (SELECT uri FROM labelling_second_opinions WHERE is_label_of_record "
        "AND was_successfully_labeled AND NOT answer)"
    )


def _of_languages(languages: Sequence[str]) -> str:
    """SQL for the posts of `languages` that no filter stopped for another reason.

    Posts in other languages than English are stopped for that. Those of BSKY_LANGUAGES are judged
    by the filters after it all the same, others have no verdict of these.
    """
    others = [code for code in languages if code != ENGLISH]
    passed = ["passed_filters"] if ENGLISH in languages else []
    foreign = (
        [f"filtered_by_func = 'english' AND language IN ({listed(others)}) AND {_NOT_NOISE}"]
        if others
        else []
    )
    return f"({' OR '.join(passed + foreign)})"


def _together(lake: Lake, row: type[Row], most: int) -> tuple[Codebook, ...]:
    """The codebook of `row`, and up to `most` in all that ask about the same posts alike."""
    if not issubclass(row, CodebookLabel) or row.codebook.text:
        return ()
    own = row.codebook
    others = (
        other.codebook
        for other in lake.rows
        if issubclass(other, CodebookLabel) and other is not row and not other.codebook.text
    )
    alike = [other for other in others if _asks_like(other, own)]
    return (own, *alike[: most - 1])


def _asks_like(other: Codebook, own: Codebook) -> bool:
    return (other.languages, other.only_where, other.stopped, other.context) == (
        own.languages,
        own.only_where,
        own.stopped,
        own.context,
    )


def _sample(asked: DayQuestions, size: int | None) -> list[Question]:
    """All questions, or a sample that is the same on every run: their hashes are random enough."""
    return list(asked.questions.values())[:size]


def _create_tables(con: duckdb.DuckDBPyConnection, row: type[Row]) -> None:
    for name, contract in (("labelling_rows", row), ("labelling_failed", Quarantined)):
        con.register("labelling_no_rows", arrow_schema(contract).empty_table())
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM labelling_no_rows")
    con.unregister("labelling_no_rows")


def _add_rows(con: duckdb.DuckDBPyConnection, row: type[Row], *, of_record: bool) -> None:
    answers = "is_sociopolitical, political_ideology"
    if issubclass(row, CodebookLabel):
        answers = f"{_ANSWERS[row.codebook.answer.type]} AS answer"
    con.execute(
        f"""
        INSERT INTO labelling_rows BY NAME
        SELECT uri, posts.context, posts.text_hash, best.question_hash, ? AS is_label_of_record,
            {answers}, confidence, reason, is_valid AS was_successfully_labeled, selection_chance,
            selection_stratum, error,
            answered_at AS label_timestamp, model, model_digest, prompt_version, schema_version,
            parameters, attempt AS attempts, prompt_tokens, completion_tokens, latency_seconds,
            batch_size, request_id, slot
        FROM labelling_posts AS posts JOIN labelling_best AS best USING (question_hash)
        JOIN labelling_drawn USING (uri)
        """,
        [of_record],
    )
    con.execute(
        """
        INSERT INTO labelling_failed BY NAME
        WITH asked AS (
            SELECT request_id, string_agg(DISTINCT uri, ' ' ORDER BY uri) AS uris
            FROM ledger_all JOIN labelling_posts USING (question_hash)
            SEMI JOIN (FROM labelling_best WHERE NOT is_valid) USING (request_id)
            GROUP BY request_id
        )
        SELECT ? AS source, endpoint AS origin, request_id || '/' || slot AS position,
            split_part(error, ':', 1) AS reason, concat_ws('; asked about ', error, uris) AS detail,
            coalesce(encode(raw_answer), ''::BLOB) AS content, answered_at AS received_at
        FROM labelling_best LEFT JOIN asked USING (request_id) WHERE NOT is_valid
        """,
        [row.asset],
    )


def _keep_earlier_rows(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], day: date
) -> None:
    """Labels by other prompts and models stay, and those of posts that are not drawn now.

    An answer of another type than the codebook has now stays in the ledger alone.
    """
    stored = lake.current(row, day)
    if stored is None or (row is not LlmLabel and stored.contract != contract_version(row)):
        return
    lake.relation(con, row, [day]).create_view("labelling_earlier", replace=True)
    same = " AND ".join(f"new.{name} IS NOT DISTINCT FROM earlier.{name}" for name in _IDENTITY)
    con.execute(
        f"""
        INSERT INTO labelling_rows BY NAME
        SELECT earlier.* REPLACE (false AS is_label_of_record)
        FROM labelling_earlier AS earlier SEMI JOIN labelling_drawn USING (uri)
        WHERE NOT EXISTS (SELECT 1 FROM labelling_rows AS new WHERE {same})
        """
    )


def _write_quarantine(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row], day: date
) -> None:
    """What came instead of an answer, for the posts that have none now."""
    failed = con.sql("FROM labelling_failed ORDER BY received_at, position").to_arrow_table()
    if failed.num_rows or lake.quarantine(row.asset, day):
        lake.write_quarantine(row.asset, day, failed.cast(arrow_schema(Quarantined)))
