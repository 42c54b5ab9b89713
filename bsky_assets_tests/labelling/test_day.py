"""A day's labels: what is asked, what is kept, what is asked again."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from bsky_assets.contracts import ConsolidatedPost, FilteredPost, LlmLabel
from bsky_assets.contracts.labels import LlmAnswer, LlmPrompt
from bsky_assets.errors import UserError
from bsky_assets.labelling.asking.answers import LABELS_ONLY, AnswerForm, response_format
from bsky_assets.labelling.asking.endpoint import EndpointRefuses, EndpointUnreachable
from bsky_assets.labelling.asking.preflight import NoSuchModel
from bsky_assets.labelling.asking.prompt import PROMPTS, load_prompt
from bsky_assets.labelling.day import NothingToLabel, prompt_of
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.ledger.tracing import forget, labels_without_their_post
from bsky_assets.labelling.statistics.agreement import compare
from bsky_assets.storage.sql import read_parquet
from bsky_assets_tests.labelling.asking.hostile import HOSTILE
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter, posts_of, refusal
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, post_uri, record, table


@pytest.fixture
def endpoint() -> FakeEndpoint:
    return FakeEndpoint()


@pytest.fixture
def lab(tmp_path: Path, endpoint: FakeEndpoint) -> Iterator[Lab]:
    with served(endpoint.app()) as url:
        yield Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})


def store(lab: Lab, *texts: str) -> list[str]:
    posts = [filtered_post(number, text) for number, text in enumerate(texts)]
    lab.filtered(posts)
    return [post["uri"] for post in posts]


def words(count: int) -> list[str]:
    return [f"{'LRMUNO'[n % 6]} number {n}" for n in range(count)]


def test_every_passed_post_gets_the_label_that_the_model_gave(lab: Lab) -> None:
    texts = words(57)
    stopped = filtered_post(99, "Left but not English", passed_filters=False)
    lab.filtered([*(filtered_post(n, text) for n, text in enumerate(texts)), stopped])
    partition = lab.label(batch_size=10)
    leanings = {"L": "left", "R": "right", "M": "moderate", "U": "unclear"}
    assert lab.labels() == {
        filtered_post(n, text)["uri"]: (text[0] in leanings, leanings.get(text[0]))
        for n, text in enumerate(texts)
    }
    assert partition.rows == partition.details["labelled"] == 57
    assert partition.details["failed"] == 0
    assert partition.details["shares"]["left"] == pytest.approx(10 / 57)
    (model,) = partition.details["models"]
    assert model["requests"] == 6
    assert model["prompt_tokens"] > 6 * len(load_prompt().text) / 5
    assert model["answered_by"] == ["fake"]
    assert model["preflight"]["enforces_schema"] is True


def test_a_text_is_asked_about_once_however_many_posts_have_it(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    texts = ["Left it is", "Left  it is ", "Left it is\r\n", "Right it is", "Left it is"]
    uris = store(lab, *texts)
    lab.label()
    assert endpoint.asked == {"Left it is": 1, "Right it is": 1}
    assert [lab.labels()[uri][1] for uri in uris] == ["left", "left", "left", "right", "left"]


def test_a_second_run_asks_nothing_and_gives_the_same(lab: Lab, endpoint: FakeEndpoint) -> None:
    store(lab, *words(40))
    lab.label()
    before, asked, probes = lab.rows(), len(endpoint.requests), len(endpoint.probes)
    details = lab.label().details
    assert (len(endpoint.requests), len(endpoint.probes)) == (asked, probes)
    assert details["models"][0]["already_known"] == 40
    assert lab.rows() == before


def test_a_ledger_of_the_time_before_codebooks_answers_everything(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    store(lab, *words(40))
    lab.label()
    labels, asked = lab.rows(), len(endpoint.requests)
    for path in ledger_of(lab.settings).files(LlmAnswer):
        added = ("answer", "answered_by", "sent_prompt_version")
        pq.write_table(pq.ParquetFile(path).read().drop_columns(list(added)), path)
    assert lab.label().details["models"][0]["requests"] == 0
    assert len(endpoint.requests) == asked
    assert lab.rows() == labels


def test_one_other_word_in_the_prompt_asks_everything_again_and_keeps_the_old(
    lab: Lab, endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    store(lab, *words(30))
    lab.label()
    old = lab.rows()
    for file in PROMPTS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    task = tmp_path / "task.md"
    task.write_text(task.read_text().replace("study", "survey"))
    lab.options["llm_prompt"] = tmp_path
    lab.label()
    assert set(endpoint.asked.values()) == {2}
    rows = lab.rows()
    kept = [row for row in rows if not row["is_label_of_record"]]
    assert [row | {"is_label_of_record": True} for row in kept] == old
    assert len(rows) == 2 * len(lab.labels()) == 60
    assert len({row["prompt_version"] for row in rows}) == 2
    del lab.options["llm_prompt"]
    lab.label()
    assert set(endpoint.asked.values()) == {2}, "the first prompt's answers are still known"
    assert {row["prompt_version"] for row in lab.rows() if row["is_label_of_record"]} == {
        old[0]["prompt_version"]
    }


def test_from_a_label_one_gets_to_post_prompt_and_raw_answer_in_sql(lab: Lab) -> None:
    store(lab, *words(12))
    lab.label(batch_size=5)
    ledger = ledger_of(lab.settings)
    with duckdb.connect() as con:
        for row in (LlmAnswer, LlmPrompt):
            con.sql(f"SELECT * FROM {read_parquet(ledger.files(row))}").create_view(row.asset)
        lab.lake.relation(con, LlmLabel, [DAY]).create_view("llm_labels")
        lab.lake.relation(con, FilteredPost, [DAY]).create_view("filtered_posts")
        rows = con.sql(
            """
            SELECT post.record.text, answer.question->>'text', answer.raw_answer, answer.slot,
                prompt.system_prompt, label.political_ideology, label.batch_size
            FROM llm_labels AS label
            JOIN filtered_posts AS post USING (uri)
            JOIN llm_answers AS answer USING (request_id, slot)
            JOIN llm_prompts AS prompt ON prompt.prompt_version = label.prompt_version
            """
        ).fetchall()
        assert labels_without_their_post(con, lab.lake, ledger, DAY) == []
    assert len(rows) == 12
    for text, asked, raw, slot, prompt, ideology, size in rows:
        assert text == asked
        assert json.loads(raw)[slot]["label"] == (ideology or "not_sociopolitical")
        assert prompt == prompt_of(lab.settings).text
        assert size in (5, 2)


def test_a_label_made_from_another_posts_words_is_found_out(lab: Lab) -> None:
    uris = store(lab, *words(6))
    lab.label()
    store(lab, *words(5), "another text by now")
    with duckdb.connect() as con:
        wrong = labels_without_their_post(con, lab.lake, ledger_of(lab.settings), DAY)
    assert wrong == [uris[5]]


def test_the_words_of_a_deleted_post_go_from_the_ledger_and_its_hash_stays(lab: Lab) -> None:
    said, other = "Left 🐊 alone,\nI said", "Right here"
    parent = {**filtered_post(8, said), "uri": post_uri("a", "b")}
    columns = ConsolidatedPost.model_fields
    lab.lake.write(
        ConsolidatedPost,
        DAY,
        table(ConsolidatedPost, [{name: parent[name] for name in columns if name in parent}]),
    )
    answering = filtered_post(7, "Unsure", record=record("Unsure", reply_parent=post_uri("a", "b")))
    deleted, twin = filtered_post(0, said), filtered_post(2, other)
    lab.filtered([deleted, filtered_post(1, other), twin, answering])
    lab.label()
    ledger = ledger_of(lab.settings)
    removed = pa.table(
        {
            "uri": [parent["uri"], deleted["uri"], twin["uri"]],
            "text": [said, "Left \t🐊 alone,\r\nI said", other],
        }
    )
    with duckdb.connect() as con:
        before = ledger.relation(con).order("request_id, slot").to_arrow_table().to_pylist()
        assert forget(con, lab.lake, ledger, removed) == 2
        after = ledger.relation(con).order("request_id, slot").to_arrow_table().to_pylist()
        assert labels_without_their_post(con, lab.lake, ledger, DAY) == []
        assert forget(con, lab.lake, ledger, removed) == 0
    left = {said: {}, other: {"text": other}, "Unsure": {"text": "Unsure"}}
    assert all(was["raw_answer"] for was in before)
    touched = {now["request_id"] for was, now in zip(before, after, strict=True) if now != was}
    for was, now in zip(before, after, strict=True):
        assert json.loads(now["question"]) == left[json.loads(was["question"])["text"]]
        written = {
            "question": now["question"],
            "raw_answer": None if was["request_id"] in touched else was["raw_answer"],
            "reason": None if now["question"] == "{}" else was["reason"],
        }
        assert now == was | written
    assert lab.label().details["models"][0]["already_known"] == 3


def test_what_is_sent_is_the_prompt_and_the_posts_as_data(lab: Lab, endpoint: FakeEndpoint) -> None:
    uris = store(lab, *HOSTILE)
    lab.label()
    for body in endpoint.requests:
        system, user = body["messages"]
        assert system == {"role": "system", "content": load_prompt().text}
        assert list(json.loads(user["content"])) == ["p0"], "who speaks to the model is alone"
        assert body["response_format"] == response_format(LABELS_ONLY, 1)
        assert body["temperature"] == 0
    assert set(lab.labels()) == set(uris)


def test_a_reason_is_kept_with_the_label_where_one_is_asked_for(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    store(lab, "Left alone", "Right here")
    lab.label()
    endpoint.answer = lambda body, question: {
        key: {
            "text": question[key]["text"][:5],
            "label": label,
            "reason": f" Since {question[key]['text']!r}. ",
        }
        for key, label in by_first_letter(body, question).items()
    }
    lab.options["llm_reason"] = True
    lab.label()
    body = endpoint.requests[-1]
    assert body["response_format"] == response_format(AnswerForm(has_reason=True), 2)
    assert "`reason`" in body["messages"][0]["content"]
    of_record = [row for row in lab.rows() if row["is_label_of_record"]]
    assert {row["reason"] for row in of_record} == {"Since 'Left alone'.", "Since 'Right here'."}
    assert [row["reason"] for row in lab.rows() if not row["is_label_of_record"]] == [None, None]


def test_context_that_was_collected_goes_with_the_post(lab: Lab, endpoint: FakeEndpoint) -> None:
    def collected(number: int, text: str) -> dict[str, Any]:
        post = filtered_post(number, text)
        return {name: post[name] for name in ConsolidatedPost.model_fields if name in post}

    root, parent, quoted = (post_uri(f"did:plc:author{n}", f"3k{n}") for n in (1, 2, 3))
    posts = [(1, "the root"), (2, "the parent"), (3, "the quoted")]
    lab.lake.write(
        ConsolidatedPost, DAY, table(ConsolidatedPost, [collected(*post) for post in posts])
    )
    embed = {
        "kind": "app.bsky.embed.recordWithMedia",
        "link_uri": "https://news.example/a",
        "link_title": "A title",
        "link_description": "d" * 900,
        "alt_texts": ["a chart", ""],
        "quoted_uri": quoted,
    }
    lab.filtered(
        [
            filtered_post(4, "with all", record=record(
                "with all", embed=embed, reply_parent=parent, reply_root=root
            )),
            filtered_post(5, "to the root", record=record(
                "to the root", reply_parent=root, reply_root=root
            )),
            filtered_post(6, "to an unknown", record=record(
                "to an unknown", reply_parent=post_uri("did:plc:x", "3kx")
            )),
        ]
    )  # fmt: skip
    lab.label()
    asked = {
        post["text"]: post for body in endpoint.requests for post in (posts_of(body) or {}).values()
    }
    assert asked["with all"] == {
        "text": "with all",
        "reply_to": "the parent",
        "thread_root": "the root",
        "quoted": "the quoted",
        "link": {
            "title": "A title",
            "description": "d" * 499 + "…",
            "url": "https://news.example/a",
        },
        "alt_texts": ["a chart"],
    }
    assert asked["to the root"] == {"text": "to the root", "reply_to": "the root"}
    assert asked["to an unknown"] == {"text": "to an unknown"}
    contexts = {row["uri"][-3:]: row["context"] for row in lab.rows()}
    assert contexts == {
        "3k4": ["reply_to", "thread_root", "quoted", "link", "alt_texts"],
        "3k5": ["reply_to"],
        "3k6": [],
    }


def test_several_models_label_and_their_agreement_is_measured(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    def leaning(body: dict[str, Any], question: Any) -> dict[str, Any]:
        answers = by_first_letter(body, question)
        if body["model"] == "second":  # takes every left for right
            return json.loads(json.dumps(answers).replace('"left"', '"right"'))
        return answers

    endpoint.answer, endpoint.models = leaning, ("fake", "second")
    lab.options |= {"llm_models": ("fake", "second"), "llm_sample_size": 30}
    store(lab, *words(60))
    lab.label()
    models = Counter((row["model"], row["is_label_of_record"]) for row in lab.rows())
    assert models == {("fake", True): 60, ("second", False): 30}
    with duckdb.connect() as con:
        agreement = compare(con, lab.lake, [DAY])
        assert compare(con, lab.lake, [DAY]) == agreement
    (pair,) = agreement.pairs
    first = {row["uri"]: row for row in lab.rows() if row["model"] == "fake"}
    second = [row for row in lab.rows() if row["model"] == "second"]
    left = [row["uri"] for row in second if first[row["uri"]]["political_ideology"] == "left"]
    assert left
    assert pair.finest.posts == 30
    assert pair.finest.accuracy.value == pytest.approx(1 - len(left) / 30)
    assert pair.scores["is_sociopolitical"].kappa.value == 1
    assert sorted(agreement.disputed["uri"].to_pylist()) == sorted(left)
    assert agreement.disputed["labels"].to_pylist()[0] == ["left", "right"]
    assert pair.png().startswith(b"\x89PNG")


def test_labels_of_posts_that_are_gone_go_too(lab: Lab) -> None:
    store(lab, *words(10))
    lab.label()
    uris = store(lab, *words(7))
    lab.label()
    assert set(lab.labels()) == set(uris)
    assert len(lab.rows()) == 7


def test_without_an_endpoint_one_line_says_how_to_start_one(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "http://127.0.0.1:9/v1")
    store(lab, *words(3))
    with pytest.raises(EndpointUnreachable) as raised:
        lab.label()
    message = str(raised.value)
    assert "\n" not in message
    assert "ollama pull sandbox" in message
    assert "bsky-assets llm serve --gguf" in message
    assert lab.rows() == []


def test_who_has_every_answer_needs_no_endpoint(lab: Lab) -> None:
    store(lab, *words(20))
    lab.label()
    before = lab.rows()
    away = Lab(lab.folder, "http://127.0.0.1:9/v1", lab.options)
    away.label()
    assert away.rows() == before


def test_an_unfiltered_day_is_said_to_be_so(lab: Lab) -> None:
    with pytest.raises(NothingToLabel, match="filtered_posts"):
        lab.label()


def test_a_day_without_posts_has_a_partition_without_labels(lab: Lab) -> None:
    lab.filtered([filtered_post(0, "no", passed_filters=False)])
    partition = lab.label()
    assert partition.rows == 0
    assert partition.details["shares"] == {}


def test_a_model_that_the_endpoint_lacks_is_named_with_those_it_has(lab: Lab) -> None:
    lab.options["llm_models"] = ("other",)
    store(lab, *words(3))
    with pytest.raises(NoSuchModel, match="'other'; it has fake"):
        lab.label()


def test_a_wrong_key_is_never_shown(tmp_path: Path) -> None:
    endpoint = FakeEndpoint(key="the right one")
    with served(endpoint.app()) as url:
        options = {"llm_models": ("fake",), "llm_api_key": "sk-secret-123"}
        lab = Lab(tmp_path, f"{url.replace('//', '//user:hunter2@')}/v1", options)
        store(lab, *words(3))
        with pytest.raises(EndpointRefuses) as raised:
            lab.label()
    assert "BSKY_LLM_API_KEY" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (("json_schema",), {"response_format": "json_object"}),
        (("json_schema", "json_object"), {"response_format": "text"}),
        (("temperature",), {"takes_temperature": False}),
        (("max_tokens",), {"length_parameter": "max_completion_tokens"}),
    ],
)
def test_an_endpoint_is_asked_in_the_form_that_it_takes(
    tmp_path: Path, refused: tuple[str, ...], expected: dict[str, Any]
) -> None:
    """Servers differ in what they take; a preflight finds out."""

    @web.middleware
    async def strict(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.can_read_body:
            body = await request.json()
            form = body.get("response_format", {}).get("type")
            for name in refused:
                if name in body or name == form:
                    return refusal(400, f"Unsupported parameter: '{name}'")
        return await handler(request)

    endpoint = FakeEndpoint(keeps_schemas="json_schema" not in refused)
    app = endpoint.app()
    app.middlewares.append(strict)
    with served(app) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",)})
        store(lab, *words(25))
        preflight = lab.label().details["models"][0]["preflight"]
        assert len(lab.labels()) == 25
    assert expected.items() <= preflight.items()
    assert preflight["enforces_schema"] is ("json_schema" not in refused)


def test_a_prompt_that_lacks_its_codebook_or_a_file_is_named(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "prompt"
    folder.mkdir()
    lab.options["llm_prompt"] = folder
    store(lab, *words(3))
    with pytest.raises(UserError, match=r"no sociopolitical\.toml in .*prompt"):
        lab.label()
    shutil.copy(PROMPTS / "sociopolitical.toml", folder)
    with pytest.raises(UserError, match=r"task\.md"):
        lab.label()


def test_the_built_in_prompt_says_what_it_must() -> None:
    text = load_prompt().text
    for word in (
        "United States",
        "left",
        "right",
        "moderate",
        "unclear",
        "not_sociopolitical",
        "p0",
        "strangers",
    ):
        assert word in text
