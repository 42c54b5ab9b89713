"""Where rows rest: segments of streams, immutable partitions, and a catalogue of views over them.

What belongs here: files, pointers, locks, damage, older contracts, SQL that is safe to run. What
does not: what rows mean. Rows come in with what their maker says of them, and are read by day.
"""
