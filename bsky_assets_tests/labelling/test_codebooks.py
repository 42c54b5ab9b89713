"""A codebook from its file to its labels: every type of answer, who is asked, and what again."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bsky_assets.contracts import FilteredPost, contract_version
from bsky_assets.contracts.codebooks import UnusableCodebook, codebook_among, load_codebooks
from bsky_assets.labelling.asking.prompt import codebook_prompt, load_prompt
from bsky_assets.labelling.day import NothingToLabel, label_day
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.ledger.tracing import labels_without_their_post
from bsky_assets_tests.support.codebooks import (
    EVERY_TYPE,
    FEELINGS,
    HEAT,
    TARGET,
    TOPIC,
    TOXIC,
    codebook,
    read_off,
)
from bsky_assets_tests.support.labelling import DAY, PATIENT, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, Question
from bsky_assets_tests.support.places import ROOT
from bsky_assets_tests.support.serving import served
from bsky_sandbox.llm import LlmServer
from bsky_sandbox.world import World
from testbed.rows import filtered_post, table

ANSWERS = [
    ("toxic", ["yes", "no"]),
    ("topic", ["sport", "food", "other"]),
    ("feelings", ["joy,fear", "anger", "", "joy,fear,anger"]),
    ("heat", ["1", "2", "3", "4", "5"]),
    ("target", ["trains", "rain"]),
]


EXAMPLES = sorted((ROOT / "docs" / "codebooks").glob("*.toml"))
THREE = ("constructive", "intergroup", "toxic")


def text(number: int) -> str:
    """A post that says what the answers about it are."""
    said = (f"{name}={values[number % len(values)]}" for name, values in ANSWERS)
    return f"Post {number} {' '.join(said)}"


def kept(name: str, said: str) -> Any:
    """The answer as its column has it."""
    match name:
        case "toxic":
            return said == "yes"
        case "heat":
            return int(said)
        case "feelings":
            return [one for one in said.split(",") if one]
    return said


@pytest.fixture
def endpoint() -> FakeEndpoint:
    return FakeEndpoint(read_off)


@pytest.fixture
def lab(tmp_path: Path, endpoint: FakeEndpoint) -> Iterator[Lab]:
    with served(endpoint.app()) as url:
        found = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        found.filtered(filtered_post(number, text(number)) for number in range(23))
        yield found


def answers(lab: Lab, row: Any) -> dict[str, Any]:
    return {one["uri"]: one["answer"] for one in lab.rows(row) if one["is_label_of_record"]}


def test_the_built_in_codebook_asks_word_for_word_what_was_asked_before_there_were_codebooks() -> (
    None
):
    assert load_prompt().version == "57539260e4e8f7ee"
    assert load_prompt().form.version == "89980d44601a0dbc"
    assert load_prompt(has_reason=True).version == "a2ae6082063697d1"
    assert load_prompt(has_reason=True).form.version == "233e269e407fcd04"


@pytest.mark.parametrize("source", EVERY_TYPE, ids=["toxic", "topic", "feelings", "heat", "target"])
def test_every_type_of_answer_comes_into_its_column_as_the_model_gave_it(
    lab: Lab, endpoint: FakeEndpoint, source: str
) -> None:
    row = lab.codebook(source)
    name = row.codebook.name
    values = dict(ANSWERS)[name]
    details = lab.label(row=row).details
    assert details["labelled"] == 23
    assert answers(lab, row) == {
        filtered_post(n, "")["uri"]: kept(name, values[n % len(values)]) for n in range(23)
    }
    with duckdb.connect() as con:
        assert labels_without_their_post(con, lab.lake, ledger_of(lab.settings), DAY, row) == []
    asked = len(endpoint.requests)
    assert lab.label(row=row).details["models"][0]["requests"] == 0
    assert len(endpoint.requests) == asked, "nothing is asked twice"


def test_shares_are_of_posts_with_an_answer_and_several_answers_count_each(lab: Lab) -> None:
    assert lab.label(row=lab.codebook(TOXIC)).details["shares"] == pytest.approx(
        {"no": 11 / 23, "yes": 12 / 23}
    )
    several = lab.label(row=lab.codebook(FEELINGS)).details["shares"]
    assert several == pytest.approx({"joy": 11 / 23, "fear": 11 / 23, "anger": 11 / 23})
    assert lab.label(row=lab.codebook(TARGET)).details["shares"] == {}


def test_a_changed_codebook_asks_again_and_no_other_does(lab: Lab, endpoint: FakeEndpoint) -> None:
    toxic, topic = lab.codebook(TOXIC), lab.codebook(TOPIC)
    for row in (toxic, topic):
        lab.label(row=row)
    changed = lab.codebook(TOXIC.replace("attacks somebody", "insults somebody"))
    assert contract_version(changed) == contract_version(toxic)
    asked = len(endpoint.requests)
    assert lab.label(row=topic).details["models"][0]["requests"] == 0
    assert lab.label(row=changed).details["models"][0]["requests"] == 3
    assert len(endpoint.requests) == asked + 3
    assert len(lab.rows(changed)) == 46, "earlier answers stay beside the new ones"
    assert len(answers(lab, changed)) == 23


def test_posts_are_asked_about_only_where_another_codebook_has_the_answer(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    toxic = lab.codebook(TOXIC)
    where = 'only_where = {codebook = "toxic", answers = ["yes"]}'
    heat = lab.codebook(HEAT.replace("[answer]", f"{where}\n[answer]"))
    with pytest.raises(NothingToLabel, match="materialise labels_toxic"):
        lab.label(row=heat)
    lab.label(row=toxic)
    lab.label(row=heat)
    assert set(answers(lab, heat)) == {uri for uri, yes in answers(lab, toxic).items() if yes}
    political = codebook(
        "slogan",
        "text",
        more='only_where = {codebook = "sociopolitical", answers = ["left", "right"]}',
    )
    lab.filtered(
        filtered_post(n, f"Post {n} label={said} slogan=s{n}")
        for n, said in enumerate(["left", "not_sociopolitical", "right", "unclear"])
    )
    slogan = lab.codebook(political)
    lab.label()
    lab.label(row=slogan)
    assert [*answers(lab, slogan).values()] == ["s0", "s2"]


def test_posts_in_the_languages_of_a_codebook_are_asked_about_and_no_others(lab: Lab) -> None:
    stopped = {"passed_filters": False, "filtered_by_func": "english"}
    lab.filtered(
        [
            filtered_post(0, "One post"),
            filtered_post(1, "Una cosa", language="es", **stopped),
            filtered_post(2, "Eine Sache", language="de", **stopped),
            filtered_post(3, "Spam", passed_filters=False, filtered_by_func="spam", language="en"),
            filtered_post(4, "Compra", language="es", is_spam=True, **stopped),
            filtered_post(5, "Otra cosa", language="es", is_spam=False, **stopped),
        ]
    )
    for languages, expected in ((["en", "es"], {0, 1, 5}), (["es"], {1, 5}), (["en"], {0})):
        row = lab.codebook(TOPIC.replace("[answer]", f"languages = {languages}\n[answer]"))
        lab.label(row=row)
        assert set(answers(lab, row)) == {filtered_post(n, "")["uri"] for n in expected}


def test_a_prompt_names_the_languages_of_a_codebook_if_there_is_another_than_english(
    lab: Lab,
) -> None:
    english = lab.codebook(TOXIC).codebook
    told = {
        languages: codebook_prompt((english.model_copy(update={"languages": languages}),)).text
        for languages in (("en",), ("es",), ("es", "en"))
    }
    assert told["en",] == codebook_prompt((english,)).text
    assert "in these languages: es." in told["es",]
    assert "in these languages: en, es." in told["es", "en"]
    assert "languages" not in told["en",]


def test_several_codebooks_share_requests_and_the_ledger_knows_each_by_itself(
    lab: Lab, endpoint: FakeEndpoint
) -> None:
    rows = [lab.codebook(source) for source in (TOXIC, TOPIC, HEAT)]
    lab.options["llm_codebooks_a_request"] = 3
    made = [lab.label(row=row).details["models"][0]["requests"] for row in rows]
    assert made == [3, 0, 0]
    for row in rows:
        name, values = row.codebook.name, dict(ANSWERS)[row.codebook.name]
        assert answers(lab, row) == {
            filtered_post(n, "")["uri"]: kept(name, values[n % len(values)]) for n in range(23)
        }
        with duckdb.connect() as con:
            wrong = labels_without_their_post(con, lab.lake, ledger_of(lab.settings), DAY, row)
        assert wrong == []
    changed = lab.codebook(TOPIC.replace("Meals", "Dishes"))
    made = [lab.label(row=row).details["models"][0]["requests"] for row in (rows[0], changed)]
    assert made == [0, 3], "a changed one asks only itself again"
    schema = endpoint.requests[-1]["response_format"]["json_schema"]["schema"]["properties"]
    assert set(schema["p0"]["properties"]) == {"text", "topic"}


@pytest.mark.parametrize("posts_a_request", [10, 20])
def test_three_codebooks_in_a_request_take_at_most_1_4_times_the_tokens_of_one(
    tmp_path: Path, posts_a_request: int
) -> None:
    """By what the endpoint counts of requests and answers, of posts of 250 characters."""
    said = "words that people write on a day about what they saw and heard and think of it all "
    tokens: dict[tuple[int, str], int] = {}
    with served(LlmServer(()).app()) as url:
        for several in (1, 3):
            lab = Lab(tmp_path / str(several), f"{url}/v1", {"llm_codebooks_a_request": several})
            lab.filtered(filtered_post(n, f"{n} {3 * said}"[:250]) for n in range(40))
            rows = [lab.codebook(path.read_text()) for path in EXAMPLES if path.stem in THREE]
            for row in rows:
                details = lab.label(row=row, batch_size=posts_a_request).details
                assert details["labelled"] == 40
                (told,) = details["models"]
                spent = (told["prompt_tokens"], told["completion_tokens"])
                tokens[several, row.codebook.name] = sum(spent) if told["requests"] else 0
    alone, together = ([tokens[several, name] for name in THREE] for several in (1, 3))
    assert [bool(spent) for spent in together] == [True, False, False], "the first asks for all"
    assert sum(together) <= 1.4 * min(alone)
    assert sum(alone) >= 2.9 * min(alone)


def test_a_prompt_has_every_question_definition_and_example(lab: Lab) -> None:
    rows = [lab.codebook(source) for source in (TOXIC, TOPIC)]
    prompt = codebook_prompt(tuple(row.codebook for row in rows))
    for row in rows:
        assert row.codebook.question in prompt.text
        for label in row.codebook.answer.labels:
            assert label.definition in prompt.text
    assert prompt.form.fields == ("text", "toxic", "topic")
    assert [part.version for part in prompt.parts] == [
        codebook_prompt((row.codebook,)).version for row in rows
    ]


def test_the_examples_are_short_and_are_answered_on_a_day_of_the_sandbox(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 6
    world = World.generate(0, day=DAY, events=1_500)
    english = [one for one in world.posts if one.record.get("langs") == ["en"]]
    with served(LlmServer(world.posts).app()) as url:
        lab = Lab(tmp_path, f"{url}/v1")
        lab.filtered(
            filtered_post(number, one.record["text"]) for number, one in enumerate(english)
        )
        labelled = lab.label().details["labelled"]
        for path in EXAMPLES:
            source = path.read_text()
            assert source.count("\n") <= 40
            row = lab.codebook(source)
            details = lab.label(row=row).details
            assert details["failed"] == 0
            if row.codebook.stopped:
                assert details["posts"] == 0, "no filter stopped any of these posts"
                continue
            assert details["labelled"] == len(lab.rows(row)) > 0
            only_some = row.codebook.only_where is not None
            assert (details["labelled"] < labelled) is only_some, path.name


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("[answer", "[[answer", "toxic.toml is not TOML"),
        ('name = "toxic"', 'name = "poison"', "name: is 'poison'; name the file poison.toml"),
        ("question =", "query =", "question: is missing; write it"),
        ('definition = "It attacks nobody."', "", "answer.labels.1.definition: is missing"),
        ('"boolean"', '"bolean"', "answer.type: Input should be 'boolean', 'one_of'"),
        ('"boolean"', '"scale"', "the labels of a scale are whole numbers"),
        ('labels."no"', 'labels."maybe"', "a boolean has the labels yes and no"),
        ("nobody", "somebody", "'yes' and 'no' have the same definition"),
        ("[answer]", 'languages = ["English"]\n[answer]', "expected codes such as en or es"),
        ("[answer]", 'only_where = {codebook = "tone", answers = ["x"]}\n[answer]', "add it"),
        (
            "[answer]",
            'only_where = {codebook = "sociopolitical", answers = ["centre"]}\n[answer]',
            "'centre' is no answer to sociopolitical",
        ),
        ("[answer]", 'text = ["none.md"]\n[answer]', "cannot read"),
        ("[answer]", "colour = 1\n[answer]", "colour: is no key of a codebook; remove it"),
        ("[answer]", '"a\\nb" = 1\n[answer]', r"'a\nb': is no key of a codebook; remove it"),
        ("[answer]", f"deep = {'[' * 9_000}\n[answer]", "toxic.toml is not TOML"),
        (
            "[answer]",
            'stopped = {filter = "hatespeech"}\n[answer]',
            "stopped.filter: there is no filter 'hatespeech' after english; there are bot, ",
        ),
    ],
)
def test_what_is_wrong_with_a_codebook_is_said_in_a_line_with_file_and_key(
    tmp_path: Path, wrong: str, right: str, said: str
) -> None:
    path = tmp_path / "toxic.toml"
    assert wrong in TOXIC
    path.write_text(TOXIC.replace(wrong, right, 1))
    with pytest.raises(UnusableCodebook) as raised:
        codebook_among(tmp_path / "codebooks", path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "toxic.toml" in str(raised.value) or "none.md" in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "labels", "said"),
    [
        (
            "one_of",
            [f"label {n}" for n in range(51)],
            "there are 51 labels; a schema holds at most",
        ),
        ("one_of", ["good", "bad; DROP"], "the label 'bad; DROP' is not one of up to 40 letters"),
        ("one_of", ["good", "b" * 41], "is not one of up to 40 letters"),
        ("one_of", ["good"], "there is nothing to choose from; define at least two"),
        ("text", ["good", "bad"], "a text has no labels"),
        ("scale", ["1", "5000000000"], "the scale has 5000000000 steps; a schema holds at most 50"),
        ("scale", ["1", "2", "01"], "the scale has 1 twice"),
        ("scale", ["1"], "define at least its two ends"),
    ],
)
def test_an_answer_that_no_server_s_schema_could_hold_is_refused(
    tmp_path: Path, kind: str, labels: list[str], said: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(codebook("mine", kind, {name: f"Is {name}." for name in labels}))
    with pytest.raises(UnusableCodebook, match=f"^mine.toml: answer: .*{said}") as raised:
        codebook_among(tmp_path / "codebooks", path)
    assert "\n" not in str(raised.value)
    most = {f"label {n}": f"Is {n}." for n in range(50)}
    path.write_text(codebook("mine", "one_of", most))
    assert codebook_among(tmp_path / "codebooks", path).usable
    path.write_text(codebook("mine", "scale", {"1": "Least.", "50": "Most."}))
    assert codebook_among(tmp_path / "codebooks", path).usable


def test_overlapping_labels_and_examples_under_two_labels_are_found(tmp_path: Path) -> None:
    path = tmp_path / "topic.toml"
    for change, said in (
        (('"food"', '"Sport"'), "labels 'sport' and 'Sport' overlap"),
        (('"Meals."', '"Meals."\nexamples = ["The cup."]'), "the example 'The cup.'"),
    ):
        twice = TOPIC.replace('"Games."', '"Games."\nexamples = ["The cup."]')
        path.write_text(twice.replace(*change))
        with pytest.raises(UnusableCodebook, match=said):
            codebook_among(tmp_path, path)


def test_a_circle_of_only_where_is_found_and_the_others_stay(tmp_path: Path) -> None:
    for name, where in (("a", "b"), ("b", "a"), ("c", "sociopolitical")):
        answers = ["left"] if name == "c" else ["yes"]
        more = f'only_where = {{codebook = "{where}", answers = {answers}}}'
        labels = {"yes": "It is.", "no": "It is not."}
        (tmp_path / f"{name}.toml").write_text(codebook(name, "boolean", labels, more))
    found = load_codebooks(tmp_path)
    assert [one.name for one in found.usable] == ["c"]
    (problem,) = found.problems
    assert "goes in a circle" in problem


def test_the_package_s_own_name_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "sociopolitical.toml"
    path.write_text(TOXIC.replace("toxic", "sociopolitical"))
    with pytest.raises(UnusableCodebook, match="taken by the package"):
        codebook_among(tmp_path / "codebooks", path)


def easily_led(body: dict[str, Any], question: Question) -> str:
    """Answers as it should about posts alone, and in company the same of all."""
    said = read_off(body, question)
    return said.replace('"yes"', '"no"') if len(question) > 1 else said


def test_a_day_on_which_company_changes_answers_halves_the_batches_of_the_next(
    tmp_path: Path,
) -> None:
    endpoint = FakeEndpoint(easily_led)
    with served(endpoint.app()) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",), "llm_company_sample": 30})
        row = lab.codebook(TOXIC)
        posts = [filtered_post(n, f"Post {n} toxic=yes") for n in range(40)]
        days = [DAY + timedelta(days=n) for n in range(3)]
        made = []
        for day in days:
            lab.lake.write(FilteredPost, day, table(FilteredPost, posts))
            endpoint.answer = easily_led if day == DAY else read_off
            with duckdb.connect() as con:
                made.append(label_day(con, lab.lake, day, lab.settings, row=row, policy=PATIENT))
            for path in (lab.folder / "ledger").rglob("*"):
                if path.is_file():
                    path.unlink()  # so that each day is asked about anew
    sizes = [one.details["batch_size"] for one in made]
    assert sizes == [10, 5, 5]
    assert made[0].details["lowered"] is None
    assert f"on {DAY} 0 of 30 posts kept" in made[1].details["lowered"]


def test_a_second_opinion_is_kept_and_overrules_a_filter_only_where_that_is_set(
    tmp_path: Path,
) -> None:
    stopped = {"passed_filters": False, "filtered_by_func": "hate_speech", "is_english": True}
    posts = [
        filtered_post(0, "Passed label=left", is_english=True),
        filtered_post(1, "Wrongly hate_speech=no", filter_reason="rule:hatred", **stopped),
        filtered_post(2, "Rightly hate_speech=yes", filter_reason="rule:hatred", **stopped),
        filtered_post(3, "Labeled hate_speech=no", filter_reason="label:hate", **stopped),
    ]
    uris = [post["uri"] for post in posts]
    with served(FakeEndpoint(read_off).app()) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",)})
        lab.filtered(posts)
        row = lab.codebook((ROOT / "docs" / "codebooks" / "hate_speech.toml").read_text())
        lab.label()
        assert set(lab.labels()) == {uris[0]}
        lab.options["overruling_codebook"] = "hate_speech"
        with pytest.raises(NothingToLabel, match="labels_hate_speech decides"):
            lab.label()
        lab.label(row=row)
        assert answers(lab, row) == {uris[1]: False, uris[2]: True}
        lab.label()
        assert set(lab.labels()) == {uris[0], uris[1]}
        del lab.options["overruling_codebook"]
        lab.label()
        assert set(lab.labels()) == {uris[0]}
        lab.options["overruling_codebook"] = "toxic"
        with pytest.raises(UnusableCodebook, match="BSKY_OVERRULING_CODEBOOK: 'toxic'"):
            lab.label()


def test_a_sample_of_what_was_stopped_is_no_larger_than_asked_for_and_the_same_again(
    lab: Lab,
) -> None:
    stopped = {"passed_filters": False, "filtered_by_func": "hate_speech", "is_english": True}
    lab.filtered(
        filtered_post(n, f"Post {n}", filter_reason="rule:slur", **stopped) for n in range(30)
    )
    row = lab.codebook((ROOT / "docs" / "codebooks" / "hate_speech.toml").read_text())
    lab.label(row=row)
    drawn = set(answers(lab, row))
    assert len(drawn) == 10
    assert lab.label(row=row).details["models"][0]["requests"] == 0
    assert set(answers(lab, row)) == drawn
