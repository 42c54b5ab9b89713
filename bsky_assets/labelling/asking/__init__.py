"""Asking a model: the prompt, posts as questions, requests, and which answers are believed.

What belongs here: everything between a question and a valid answer to it. What does not: which
posts are asked about, and what becomes a label. Questions come in, answers go to the ledger.
"""
