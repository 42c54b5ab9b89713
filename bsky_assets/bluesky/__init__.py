"""The AT Protocol: what comes over its streams and from its services, as rows of the contracts.

What belongs here: connections, frames, records, sessions, and counting what did not come. What does
not: which posts matter. Bytes of hosts come in, segments and partitions of raw rows go out.
"""
