"""The labels of a day: what is asked of whom, and what is written."""

from collections.abc import Sequence
from datetime import date

import duckdb

from bsky_assets.contracts import (
    FilteredPost,
    LlmLabel,
    Quarantined,
    arrow_schema,
)
from bsky_assets.contracts.details import Company
from bsky_assets.contracts.progress import Reporter, silent
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import AnswerForm
from bsky_assets.labelling.asking.batches import by_chance
from bsky_assets.labelling.asking.prompt import PROMPTS, Prompt, load_prompt
from bsky_assets.labelling.asking.questions import DayQuestions, Question, day_questions
from bsky_assets.labelling.asking.requests import Policy
from bsky_assets.labelling.asking.rounds import Asker, Round
from bsky_assets.labelling.details import day_details
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.statistics.consistency import effect_of_company
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake, Partition

_IDENTITY = ("uri", "model", "model_digest", "prompt_version", "schema_version", "parameters")


class NothingToLabel(UserError):
    """The day has not been filtered."""


def ledger_of(settings: Settings) -> Ledger:
    """The ledger of the data directory."""
    return Ledger(settings.ledger_dir)


def prompt_of(settings: Settings) -> Prompt:
    """The prompt in force.

    Raises:
        UnusablePrompt: its files cannot be read.
    """
    return load_prompt(settings.llm_prompt or PROMPTS, AnswerForm(settings.llm_reason))


def label_day(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    settings: Settings,
    *,
    models: Sequence[str] | None = None,
    batch_size: int | None = None,
    progress: Reporter | None = None,
    policy: Policy | None = None,
) -> Partition:
    """Label the posts of `day` that passed the filters, and write the partition of labels.

    Each model is asked what is not in the ledger yet; the first labels every post, the others a
    sample if the settings limit it. Labels that are there by another prompt or model stay.
    `progress` is called about once a second.

    Raises:
        NothingToLabel: the day has not been filtered.
        EndpointUnreachable: there is no endpoint, or it went away; what it answered is kept.
        EndpointRefuses: it does not take our key, model or form of request.
        NoSuchModel: it does not have a model.
        NothingUsable: nothing that a model says can be used.
        UnusablePrompt: the prompt's files cannot be read.
    """
    if lake.current(FilteredPost, day) is None:
        raise NothingToLabel(f"the posts of {day} are not filtered; materialise filtered_posts")
    inputs = made_from(lake, LlmLabel, day)
    ledger, prompt = ledger_of(settings), prompt_of(settings)
    ledger.seal_abandoned()
    asked = day_questions(con, lake, day)
    asker = Asker(
        con,
        ledger,
        settings,
        prompt,
        day,
        batch_size or settings.llm_batch_size,
        policy or Policy(),
        progress or silent,
    )
    con.register("labelling_posts", asked.posts)
    _create_tables(con)
    rounds: list[Round] = []
    company: Company | None = None
    for number, model in enumerate(models or settings.llm_models):
        questions = _sample(asked, settings.llm_sample_size if number else None)
        rounds.append(asker.ask(model, by_chance(questions, str(day)), "labelling_best"))
        if number == 0:
            company = effect_of_company(asker, model, questions)
        _add_rows(con, of_record=number == 0)
    _keep_earlier_rows(con, lake, day)
    _write_quarantine(con, lake, day)
    return lake.write_query(
        con,
        LlmLabel,
        day,
        "SELECT * FROM labelling_rows ORDER BY is_label_of_record DESC, uri, model, prompt_version",
        day_details(con, settings, prompt, asked, rounds, company),
        made_from=inputs,
    )


def _sample(asked: DayQuestions, size: int | None) -> list[Question]:
    """All questions, or a sample that is the same on every run: their hashes are random enough."""
    return list(asked.questions.values())[:size]


def _create_tables(con: duckdb.DuckDBPyConnection) -> None:
    for name, row in (("labelling_rows", LlmLabel), ("labelling_failed", Quarantined)):
        con.register("labelling_no_rows", arrow_schema(row).empty_table())
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM labelling_no_rows")
    con.unregister("labelling_no_rows")


def _add_rows(con: duckdb.DuckDBPyConnection, *, of_record: bool) -> None:
    con.execute(
        """
        INSERT INTO labelling_rows BY NAME
        SELECT uri, posts.context, posts.text_hash, best.question_hash, ? AS is_label_of_record,
            is_sociopolitical, political_ideology, reason, is_valid AS was_successfully_labeled,
            error,
            answered_at AS label_timestamp, model, model_digest, prompt_version, schema_version,
            parameters, attempt AS attempts, prompt_tokens, completion_tokens, latency_seconds,
            batch_size, request_id, slot
        FROM labelling_posts AS posts JOIN labelling_best AS best USING (question_hash)
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
        SELECT 'llm_labels' AS source, endpoint AS origin, request_id || '/' || slot AS position,
            split_part(error, ':', 1) AS reason, concat_ws('; asked about ', error, uris) AS detail,
            coalesce(encode(raw_answer), ''::BLOB) AS content, answered_at AS received_at
        FROM labelling_best LEFT JOIN asked USING (request_id) WHERE NOT is_valid
        """
    )


def _keep_earlier_rows(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """Labels of the same posts by other prompts and models stay, beside the present ones."""
    if lake.current(LlmLabel, day) is None:
        return
    lake.relation(con, LlmLabel, [day]).create_view("labelling_earlier", replace=True)
    same = " AND ".join(f"new.{name} IS NOT DISTINCT FROM earlier.{name}" for name in _IDENTITY)
    con.execute(
        f"""
        INSERT INTO labelling_rows BY NAME
        SELECT earlier.* REPLACE (false AS is_label_of_record)
        FROM labelling_earlier AS earlier SEMI JOIN labelling_posts USING (uri)
        WHERE NOT EXISTS (SELECT 1 FROM labelling_rows AS new WHERE {same})
        """
    )


def _write_quarantine(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> None:
    """What came instead of an answer, for the posts that have none now."""
    failed = con.sql("FROM labelling_failed ORDER BY received_at, position").to_arrow_table()
    if failed.num_rows or lake.quarantine(LlmLabel.asset, day):
        lake.write_quarantine(LlmLabel.asset, day, failed.cast(arrow_schema(Quarantined)))
