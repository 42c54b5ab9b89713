"""What is concluded from labels, corrected by what people said of a designed sample.

What belongs here: shares, differences, trends and their intervals. What does not: labels by models
(`labelling`), and how people give theirs (`coding`). Labels of both come in, estimates go out.
"""

from bsky_assets.analysis.estimating.estimates import Coefficient, Estimated, estimate

__all__ = ["Coefficient", "Estimated", "estimate"]
