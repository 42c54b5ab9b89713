"""Bringing older data into today's shape: the author's old databases, and older partitions.

What belongs here: reading what is old, and proving that nothing of it is lost. What does not: how
older partitions are read as they are (`storage.upcasts`). Old rows come in, partitions go out.
"""
