"""Where `dg scaffold defs` writes in a checkout; the assets are loaded with the platform's.

What belongs here: components with their codebooks, of whoever uses the checkout. What does not:
anything that the package needs.
Nothing flows through: Dagster reads it.
"""
