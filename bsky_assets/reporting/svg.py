"""A figure as SVG inside a page: its text stays text, its colours are those of the page.

What belongs here: making Matplotlib's SVG fit for a page that has several, is read aloud, and is
light or dark. What does not: what is drawn, which is in `figures` and `coverage`.
"""

import re
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bsky_assets.reporting.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_FONT_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_MORE_DECIMALS = re.compile(r"(\.\d)\d+")
_REFERENCE = re.compile(r"#([\w.-]+)\)?$")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_NAMES = {"#000000": "ink"} | {colour: name for name, colour in LIGHT.items()}

ElementTree.register_namespace("", _SVG.strip("{}"))


def inline_svg(figure: "Figure", title: str, description: str) -> str:
    """The figure as an SVG element; title and description are what is read aloud of it."""
    root = _drawn(figure)
    prefix = f"p{sha256(f'{title} {description}'.encode()).hexdigest()[:8]}"
    referenced = {found for each in root.iter() for found in _references(each)}
    for element in root.iter():
        _tidy(element, prefix, referenced)
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        told = ElementTree.Element(_SVG + tag, {"id": f"{prefix}-{tag}"})
        told.text = text
        root.insert(place, told)
    root.attrib |= {"role": "img", "aria-labelledby": f"{prefix}-title {prefix}-desc"}
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(figure: "Figure") -> ElementTree.Element:
    """Matplotlib's SVG, without its grounds, and what it says of itself and of the whole page."""
    import matplotlib as mpl

    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    image = BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "page"}):
        figure.savefig(image, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(image.getvalue())  # noqa: S314 -- written a moment ago
    for child in list(root):
        if child.tag != f"{_SVG}g" and child.find(f"{_SVG}clipPath") is None:
            root.remove(child)
    for size in ("width", "height", "version"):
        del root.attrib[size]
    return root


def _references(element: ElementTree.Element) -> list[str]:
    pointing = (element.get(_XLINK), element.get("clip-path"))
    return [found[1] for value in pointing if value and (found := _REFERENCE.search(value))]


def _tidy(element: ElementTree.Element, prefix: str, referenced: set[str]) -> None:
    """No name that another picture has too, no font of Matplotlib's, colours by their names."""
    attributes = element.attrib
    if attributes.get("id") in referenced:
        attributes["id"] = f"{prefix}-{attributes['id']}"
    else:
        attributes.pop("id", None)
    if _XLINK in attributes:
        attributes["href"] = attributes.pop(_XLINK).replace("#", f"#{prefix}-")
    if "clip-path" in attributes:
        attributes["clip-path"] = attributes["clip-path"].replace("#", f"#{prefix}-")
    if "style" in attributes:
        style = _FONT_FAMILY.sub("", attributes["style"])
        attributes["style"] = _COLOUR.sub(lambda colour: f"var(--{_NAMES[colour[0]]})", style)
    for name in ("d", "x", "y", "transform"):
        if name in attributes:
            attributes[name] = _MORE_DECIMALS.sub(r"\1", " ".join(attributes[name].split()))
    if not (element.text or "").strip():
        element.text = None
    element.tail = None
