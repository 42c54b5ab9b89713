"""Asking a language model about posts: prompt, requests, ledger of answers, evaluation."""

from bsky_assets.labelling.day import label_day, ledger_of

__all__ = ["label_day", "ledger_of"]
