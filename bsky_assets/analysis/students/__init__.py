"""A student: a small classifier that learns from labels and scores every post in a moment.

Its scores are no labels of record. They say where a model's labels may be wrong, which makes
corrected estimates narrower. What belongs here: vectors of texts, teaching, measuring, keeping and
scoring. What does not: what is estimated with them (`estimating`). Labels come in, scores go out.
"""
