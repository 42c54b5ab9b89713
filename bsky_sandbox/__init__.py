"""A small Bluesky and an LLM endpoint on loopback that speak the real protocols.

It is the other end of the wire: nothing here imports what reads that wire. `world` makes what
there is to read, from a seed; `truth` says what that was, so that a run can be checked.
"""
