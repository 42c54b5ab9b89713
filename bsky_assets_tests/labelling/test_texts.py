"""Texts that never were posts are labelled as posts are, and no blank answer goes unsaid."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bsky_assets_tests.support.codebooks import FEELINGS, TOXIC, read_off
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, Question
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post

TEXTS = [
    ("One toxic=yes label=left feelings=joy,fear", "yes", "left"),
    ("Two toxic=no label=not_sociopolitical feelings=anger", "yes", "none"),
    ("Three toxic=no label=right feelings=", "no", "moderate"),
    ("=1+1 toxic=yes label=unclear feelings=joy", "yes", "unclear"),
    ("Five is never answered", "no", "left"),
    (" ", "no", "left"),
    ("One toxic=yes label=left feelings=joy,fear", "yes", "left"),
]


def answer(body: dict[str, Any], question: Question) -> str:
    said = read_off(body, question)
    return "none" if any("never" in post["text"] for post in question.values()) else said


def test_texts_of_a_file_or_a_query_are_labelled_once_and_scored_with_what_has_no_answer_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    endpoint = FakeEndpoint(answer)
    with served(endpoint.app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        given = pd.DataFrame(TEXTS, columns=["speech", "toxic", "political_ideology"])
        given.to_csv("texts.csv", index=False)
        for source in (TOXIC, FEELINGS):
            lab.codebook(source)

        def labels(*arguments: str) -> str:
            status, said, problem = run(
                monkeypatch, capsys, "labels", *arguments,
                BSKY_DATA_DIR=str(lab.folder), BSKY_LLM_BASE_URL=lab.url, BSKY_LLM_MODELS="fake",
                BSKY_LLM_BATCH_SIZE="1", COLUMNS="200",
            )  # fmt: skip
            return said if status == 0 else problem

        def asked(out: str, *arguments: str) -> pd.DataFrame:
            said = labels("ask", "--out", out, *arguments)
            assert "without an answer, whose predictions are blank" in said, said
            return pd.read_csv(out, dtype=str, keep_default_na=False)

        of_file = ("texts.csv", "--text", "speech")
        toxic = asked("toxic.csv", *of_file, "--codebook", "toxic")
        assert [*toxic["predicted_toxic"]] == ["yes", "no", "no", "yes", "", "", "yes"]
        assert toxic["error"][5] == "no_text"
        assert toxic["error"][4] != ""
        assert toxic["speech"][3].startswith("'="), "no spreadsheet takes it for a formula"
        several = asked("several.csv", *of_file, "--codebook", "feelings")
        assert [*several["predicted_feelings"][:4]] == ["joy + fear", "anger", "", "joy"]
        plain = asked("plain.csv", *of_file)
        assert [*plain["predicted_is_sociopolitical"]][:4] == ["true", "false", "true", "true"]
        assert [*plain["predicted_political_ideology"]][:4] == ["left", "none", "right", "unclear"]
        texts = [text for text in endpoint.asked if "toxic=" in text]
        assert {endpoint.asked[text] for text in texts} == {3}, "each once by each codebook"

        before = endpoint.asked.copy()
        again = asked("again.csv", *of_file)
        assert [*again["predicted_political_ideology"]] == [*plain["predicted_political_ideology"]]
        grown = {text for text in endpoint.asked if endpoint.asked[text] > before[text]}
        assert grown == {"Five is never answered"}, "only what has no answer is asked again"

        scored = labels("eval", "plain.csv", "--gold", "political_ideology",
                        "--predicted", "predicted_political_ideology")  # fmt: skip
        assert "2 posts of the file have no label to compare with" in scored
        scored = labels("eval", "toxic.csv", "--codebook", "toxic",
                        "--predicted", "predicted_toxic")  # fmt: skip
        assert "toxic: 5 posts" in scored

        lab.filtered([filtered_post(1, "A post toxic=yes")])
        query = f"SELECT uri, record.text AS text FROM filtered_posts WHERE sync_day = '{DAY}'"
        (row,) = asked("query.csv", "--sql", query, "--codebook", "toxic").to_dict("records")
        assert (row["uri"], row["predicted_toxic"]) == (filtered_post(1, "")["uri"], "yes")

        assert "there is no column 'body'; there are speech, toxic" in labels(
            "ask", "texts.csv", "--text", "body"
        )
        assert "have a column 'predicted_toxic' already" in labels(
            "ask", "toxic.csv", "--text", "speech", "--codebook", "toxic"
        )
        assert "no codebook 'tone'" in labels("ask", *of_file, "--codebook", "tone")
        assert "gives no rows" in labels("ask", "--sql", "SELECT 1 AS text WHERE false")
