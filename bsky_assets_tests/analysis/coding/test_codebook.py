"""What coders read is what the model of record is told, whichever prompt is in force."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from bsky_assets.analysis.coding.codebook import codebook_of_prompt
from bsky_assets.analysis.coding.items import words
from bsky_assets.analysis.coding.making import Draw, room_of_draw, room_of_file
from bsky_assets.analysis.coding.room import decided, open_room
from bsky_assets.analysis.coding.tables import read_answers
from bsky_assets.analysis.estimating.people import NotCorrected, people_of
from bsky_assets.contracts.codebooks import UnusableCodebook
from bsky_assets.labelling.asking.prompt import PROMPTS, load_prompt
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.labelling.statistics.sampling import export
from bsky_assets_tests.analysis.coding.rooms import ANSWERS, Page, opened, texts
from bsky_assets_tests.support.codebooks import FEELINGS, TOPIC, read_off
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post


def test_the_built_in_codebook_is_read_by_coders_as_the_model_is_told_it() -> None:
    book = codebook_of_prompt(None)
    assert book.text in load_prompt().text
    assert "politics of the United States" in book.text
    assert book.answers == ANSWERS


def test_a_codebook_of_ones_own_without_a_text_is_its_question_and_definitions(
    tmp_path: Path,
) -> None:
    own = (PROMPTS / "sociopolitical.toml").read_text()
    kept = [line for line in own.splitlines() if not line.startswith("text = ")]
    (tmp_path / "sociopolitical.toml").write_text("\n".join(kept))
    book = codebook_of_prompt(tmp_path)
    assert book.text.startswith("Is the post sociopolitical")
    assert "- unclear: It takes no side that can be told." in book.text
    assert book.version != codebook_of_prompt(None).version


def test_a_room_codes_by_a_codebook_of_ones_own_and_corrects_nothing_else(tmp_path: Path) -> None:
    with served(FakeEndpoint(read_off).app()) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",)})
        topic, feelings = lab.codebook(TOPIC), lab.codebook(FEELINGS)
        lab.filtered(filtered_post(n, f"Post {n} topic=food") for n in range(6))
        lab.label(row=topic)
    settings = lab.settings
    room = room_of_draw(settings, Draw([DAY], 6, ["label"], row=topic), ["ada"])
    assert set(room.sizes) == {"food"}
    assert "- sport: Games." in room.codebook.text
    with opened(room, settings) as server:
        page = Page(server.addresses["ada"])
        state = page.code("sport", "other")
        assert "topic=food" in state["item"]["shown"]["text"]
        assert page.send("answer", item=state["item"]["number"], value="left").status_code == 400
    assert {one.answer for one in decided(open_room(settings, room.name)).values()} == {
        "sport", "other",
    }  # fmt: skip
    with pytest.raises(NotCorrected, match=f"{room.name} is coded by the codebook topic"):
        people_of(settings, [DAY], room.name)
    with pytest.raises(NotCorrected, match="no labels by people"):
        people_of(settings, [DAY])
    with duckdb.connect() as con:
        ledger, out = Ledger(settings.ledger_dir), tmp_path / "out.csv"
        export(con, lab.lake, ledger, [DAY], 6, [], out, row=topic)
    frame = pd.read_csv(out, dtype=str).assign(topic="Food")
    frame.to_csv(out, index=False)
    filled = room_of_file(settings, out, ["ben"], row=topic)
    assert {answer for _, _, answer in read_answers(filled, out, "ben")} == {"food"}
    (settings.codebooks_dir / "topic.toml").unlink()
    shown = words(settings, room.days, room.items.values(), room.codebook.asset)
    assert len(shown) == 6, "its posts are there still"
    with pytest.raises(UnusableCodebook, match="several_of cannot be coded in a room"):
        room_of_file(settings, texts(tmp_path, 2), ["ada"], row=feelings)
