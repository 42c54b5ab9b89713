"""The colours of reports and pictures, light and dark; each colour has one name in both.

Text on its ground has a contrast of at least 4.5 to 1, marks in pictures of at least 3 to 1
(WCAG 2.2, 1.4.3 and 1.4.11). Left and right differ in lightness too, for who sees no hue.
"""

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "ground": "#ffffff",
    "card": "#f4f6f8",
    "line": "#d5dae0",
    "ink": "#1b1f24",
    "muted": "#555e69",
    "link": "#1a5fb4",
    "political": "#0b7269",
    "left": "#2b63ad",
    "right": "#c0413b",
    "moderate": "#7d55ae",
    "unclear": "#8c6400",
    "neutral": "#7f8893",
    "usual": "#c3cad2",
    "alarm": "#b3261e",
    "notice": "#fff3d6",
    "mark": "#e3edf9",
}

DARK: Mapping[str, str] = {
    "ground": "#14171b",
    "card": "#1d2228",
    "line": "#38404a",
    "ink": "#e9ebee",
    "muted": "#a9b2bc",
    "link": "#8ab8f5",
    "political": "#52c7ba",
    "left": "#7db0f2",
    "right": "#ee7f78",
    "moderate": "#bd9fe8",
    "unclear": "#dcae4f",
    "neutral": "#858f9b",
    "usual": "#4b5561",
    "alarm": "#ff8f87",
    "notice": "#3a2f14",
    "mark": "#1f3148",
}

SIDES = ("left", "right", "moderate", "unclear")
"""What a political post can be labelled as, in the order in which it is shown."""
