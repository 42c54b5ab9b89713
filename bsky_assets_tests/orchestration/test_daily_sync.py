"""The whole way of a post, through Dagster and over real sockets, against the sandbox's truth."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bsky_assets.contracts import ALL, LEDGER, LeftOut, Row
from bsky_assets_tests.support.sandbox_day import SandboxDay, present_day
from bsky_sandbox.server import Sandbox


@pytest.fixture
def run(sandbox_day: SandboxDay) -> SandboxDay:
    return sandbox_day


def test_raw_posts_are_the_posts_that_the_network_created(run: SandboxDay) -> None:
    stored = run.rows("SELECT uri, cid, record.text, author FROM raw_firehose_posts")
    created = [post for post in run.truth["posts"] if post["in_firehose"]]
    assert sorted(stored) == sorted(
        (post["uri"], post["cid"], post["record"]["text"], post["did"]) for post in created
    )


def test_raw_records_are_stored_field_by_field(run: SandboxDay) -> None:
    stored = run.rows(
        """
        SELECT uri, record.created_at, record.langs, record.tags, record.labels,
            record.reply_parent, record.reply_root, record.embed.kind
        FROM raw_firehose_posts
        """
    )
    created = {post["uri"]: post["record"] for post in run.truth["posts"] if post["in_firehose"]}
    for uri, created_at, langs, tags, labels, parent, root, embed in stored:
        record = created[uri]
        reply = record.get("reply", {})
        assert created_at == record["createdAt"]
        assert langs == record.get("langs")
        assert tags == record.get("tags")
        own = record.get("labels", {}).get("values")
        assert labels == (None if own is None else [label["val"] for label in own])
        assert parent == reply.get("parent", {}).get("uri")
        assert root == reply.get("root", {}).get("uri")
        assert embed == record.get("embed", {}).get("$type")


def test_every_feed_item_is_stored(run: SandboxDay) -> None:
    stored = run.rows("SELECT uri, cid, position FROM raw_feed_posts ORDER BY position")
    shown = [(item["uri"], item["cid"]) for item in run.truth["feed_items"]]
    assert [(uri, cid) for uri, cid, _ in stored] == shown


def test_every_deletion_and_label_is_stored(run: SandboxDay) -> None:
    deletions = run.rows("SELECT kind, uri, did, status, seq FROM raw_post_deletions")
    keys = ("kind", "uri", "did", "status", "seq")
    true_deletions = [tuple(row[key] for key in keys) for row in run.truth["deletions"]]
    assert sorted(deletions, key=str) == sorted(true_deletions, key=str)
    labels = run.rows("SELECT src, uri, val, neg FROM raw_moderation_labels")
    applied = [(row["src"], row["uri"], row["val"], row["neg"]) for row in run.truth["labels"]]
    own = [(row["src"], row["uri"], row["val"], False) for row in run.truth["self_labels"]]
    assert sorted(labels) == sorted([*applied, *own])


def test_consolidated_posts_are_the_union_without_what_is_gone(run: SandboxDay) -> None:
    stored = run.rows("SELECT uri FROM consolidated_posts")
    expected = [
        post["uri"]
        for post in run.truth["posts"]
        if (post["in_firehose"] or post["in_feed"]) and not post["is_gone"]
    ]
    assert sorted(uri for (uri,) in stored) == sorted(expected)


def test_every_post_has_a_verdict_and_every_passed_post_a_label(run: SandboxDay) -> None:
    ((posts, verdicts),) = run.rows(
        "SELECT (SELECT count(*) FROM consolidated_posts), (SELECT count(*) FROM filtered_posts)"
    )
    assert posts == verdicts
    odd = run.rows(
        """
        FROM filtered_posts SELECT uri
        WHERE passed_filters <> (filtered_by_func IS NULL)
            OR passed_filters <> (filter_reason IS NULL)
            OR (NOT is_english AND (is_bot, is_nsfw, is_spam, is_hate_speech)
                IS DISTINCT FROM (NULL, NULL, NULL, NULL))
        """
    )
    assert odd == []
    unlabelled = run.rows(
        """
        SELECT uri FROM filtered_posts WHERE passed_filters
        EXCEPT SELECT uri FROM llm_labels WHERE is_label_of_record AND was_successfully_labeled
        """
    )
    assert unlabelled == []


def test_labels_are_what_the_sandbox_knows_and_say_so(run: SandboxDay) -> None:
    truth = {post["uri"]: post for post in run.truth["posts"]}
    labels = run.rows("SELECT uri, is_sociopolitical, political_ideology, model FROM llm_labels")
    assert labels
    for uri, is_sociopolitical, ideology, model in labels:
        assert model == "sandbox"
        assert is_sociopolitical == truth[uri]["is_political"]
        assert ideology == truth[uri]["ideology"]


def test_a_label_leads_to_its_post_prompt_and_raw_answer(run: SandboxDay) -> None:
    traced = run.rows(
        """
        SELECT post.record.text, answer.question, answer.raw_answer, prompt.system_prompt
        FROM llm_labels AS label
        JOIN filtered_posts AS post USING (sync_day, uri)
        JOIN llm_answers AS answer USING (request_id, slot)
        JOIN llm_prompts AS prompt ON prompt.prompt_version = label.prompt_version
            AND prompt.schema_version = label.schema_version
        """
    )
    assert len(traced) == run.rows("SELECT count(*) FROM llm_labels")[0][0]
    for text, question, raw_answer, prompt in traced:
        assert json.loads(question)["text"].split() == text.split()
        assert json.loads(raw_answer)
        assert "left" in prompt


READ_ALL = """
import select, sys, duckdb
path, views = sys.argv[1], sys.argv[2].split(",")
rounds = 0
print("reading", flush=True)
while rounds < 2 or not select.select([sys.stdin], [], [], 0.2)[0]:
    with duckdb.connect(path) as con:
        con.execute("SET enable_progress_bar = false")
        for view in views:
            con.sql(f"SELECT count(*), count(COLUMNS(*)) FROM {view}").fetchall()
    rounds += 1
print(rounds)
"""


def test_a_second_run_changes_nothing_asks_nothing_and_never_shuts_readers_out(
    run: SandboxDay,
) -> None:
    queries: dict[type[Row], str] = {
        row: f"SELECT * FROM {row.asset} ORDER BY ALL" for row in (*ALL, *LEDGER)
    }
    made_anew = "EXCLUDE (filtered_at, preprocessing_timestamp, metadata)"
    for row in ALL:
        if row.asset in ("consolidated_posts", "filtered_posts"):
            extra = made_anew if row.asset == "filtered_posts" else "EXCLUDE (metadata)"
            queries[row] = f"SELECT * {extra} FROM {row.asset} ORDER BY ALL"
    queries[LeftOut] = "SELECT * EXCLUDE (known_at) FROM left_out ORDER BY ALL"
    queries[ALL[1]] = "SELECT sync_day, uri, record FROM raw_feed_posts ORDER BY ALL"
    before = {row: run.rows(sql) for row, sql in queries.items()}
    views = ",".join(row.asset for row in (*ALL, *LEDGER))
    reading = [sys.executable, "-c", READ_ALL, str(run.data / "bsky.duckdb"), views]
    pipe = subprocess.PIPE
    reader = subprocess.Popen(reading, stdin=pipe, stdout=pipe, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    again = run.command("materialize", "--day", "today")
    rounds, _ = reader.communicate("the run has ended", timeout=250)
    assert again.returncode == 0, again.stderr
    assert reader.returncode == 0
    assert int(rounds) > 1
    for row, sql in queries.items():
        assert run.rows(sql) == before[row], row.asset


def test_without_an_endpoint_everything_else_is_there_and_a_later_run_labels(
    tmp_path: Path,
) -> None:
    with Sandbox.start(seed=4, day=present_day(), events=600) as sandbox:
        fails_then_labels(SandboxDay(sandbox, tmp_path, {}))


def fails_then_labels(other: SandboxDay) -> None:
    failed = other.command("materialize", BSKY_LLM_BASE_URL="http://127.0.0.1:9/v1")
    assert failed.returncode == 1
    assert "llm serve" in failed.stderr.splitlines()[-1]
    ((verdicts, labels),) = other.rows(
        "SELECT (SELECT count(*) FROM filtered_posts), (SELECT count(*) FROM llm_labels)"
    )
    assert verdicts > 0
    assert labels == 0
    later = other.command("materialize", "--select", 'key:"llm_labels"')
    assert later.returncode == 0, later.stderr
    assert other.rows("SELECT count(*) FROM llm_labels")[0][0] > 0
