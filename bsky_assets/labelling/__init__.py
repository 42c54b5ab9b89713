"""Asking a language model about posts: prompt, requests, ledger of answers, evaluation.

Begin at `day.label_day`.
"""
