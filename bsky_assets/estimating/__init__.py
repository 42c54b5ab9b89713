"""What is concluded from labels, corrected by what people said of a designed sample.

What does not belong here: labels by models (`labelling`), and how people give theirs (`coding`).
"""

from bsky_assets.estimating.estimates import Coefficient, Estimated, estimate

__all__ = ["Coefficient", "Estimated", "estimate"]
