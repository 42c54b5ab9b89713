"""A study as a file: declared before its labels are there, sealed, and recomputed by others.

What belongs here: declarations, their register, results, sealed folders and their verification.
What does not: estimators, which are `estimating`'s, and drawing and coding, which are `coding`'s.
Declarations come in, results and sealed folders go out.
"""
