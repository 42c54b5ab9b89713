"""All that knows Dagster besides the assets and their checks.

What belongs here: partitions, jobs, schedules, sensors, resources, the instance, and turning
contracts into Dagster's terms; and what days lack, for which it asks (`unfinished`, `staleness`).
What does not: what any asset does, which the domain knows.
Assets import from here, and nothing here imports an asset. Ticks and runs come in, requests for
partitions go out.
"""
