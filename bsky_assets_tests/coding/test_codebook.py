"""What coders read is what the model of record is told, whichever prompt is in force."""

from pathlib import Path

from bsky_assets.coding.codebook import codebook_of_prompt
from bsky_assets.labelling.asking.prompt import PROMPTS, load_prompt
from bsky_assets_tests.coding.rooms import ANSWERS


def test_the_built_in_codebook_is_read_by_coders_as_the_model_is_told_it() -> None:
    book = codebook_of_prompt(None)
    assert book.text in load_prompt().text
    assert "politics of the United States" in book.text
    assert book.answers == ANSWERS


def test_a_prompt_of_ones_own_is_what_coders_read(tmp_path: Path) -> None:
    (tmp_path / "prompt.toml").write_text('name = "mine"\nparts = ["a.md", "b.md"]\n')
    (tmp_path / "a.md").write_text("Left is what rhymes.\n")
    (tmp_path / "b.md").write_text("Right is the rest.\n")
    book = codebook_of_prompt(tmp_path)
    assert (book.name, book.text) == ("mine", "Left is what rhymes.\n\nRight is the rest.")
    assert book.version != codebook_of_prompt(None).version


def test_a_codebook_of_ones_own_without_a_text_is_its_question_and_definitions(
    tmp_path: Path,
) -> None:
    own = (PROMPTS / "sociopolitical.toml").read_text()
    kept = [line for line in own.splitlines() if not line.startswith("text = ")]
    (tmp_path / "sociopolitical.toml").write_text("\n".join(kept))
    book = codebook_of_prompt(tmp_path)
    assert book.text.startswith("Is the post sociopolitical")
    assert "- unclear: It takes no side that can be told." in book.text
