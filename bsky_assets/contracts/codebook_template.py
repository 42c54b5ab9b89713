"""A new codebook, to be filled in."""

from bsky_assets.contracts.codebooks import Kind

_LABELS: dict[Kind, tuple[str, ...]] = {
    "boolean": ("yes", "no"),
    "one_of": ("first", "second", "neither"),
    "several_of": ("first", "second"),
    "scale": ("1", "5"),
    "text": (),
}


def new_codebook(name: str, kind: Kind) -> str:
    """The text of a codebook to be filled in."""
    lines = [
        f'name = "{name}"',
        'version = "1"',
        'question = ""  # what is asked about each post, in a sentence',
        'instructions = ""  # what else the model should know',
        'languages = ["en"]',
        "",
        "[answer]",
        f'type = "{kind}"',
    ]
    for label in _LABELS[kind]:
        lines += ["", f"[answer.labels.{label}]", 'definition = ""', "examples = []"]
    return "\n".join(lines) + "\n"
