"""Serving a model on this machine with llama.cpp, for people who have no endpoint.

What belongs here: the process that holds the model. What does not: anything about posts or labels.
A file of weights comes in; the address of an endpoint goes out.
"""
