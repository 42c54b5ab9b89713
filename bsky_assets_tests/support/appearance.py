"""How wide and colourful the terminal of whoever runs the tests is: that is not to be seen in what
commands print. Importing this unsets it, which is to be before a console is made."""

import os

for _name in (
    "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "LINES", "NO_COLOR",
    "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
):  # fmt: skip
    os.environ.pop(_name, None)
