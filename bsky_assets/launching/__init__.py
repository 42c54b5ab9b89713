"""Making a partition somewhere else than in the run: as a job of Slurm, Ray or Kubernetes.

Sync days are independent, and a partition is made by one function that knows nothing of Dagster
(`work`). `bsky_assets.partition` calls it at the far end; `launcher` sends it there through
Dagster Pipes and reads back from the lake what was written.

Where one node is too few for the filters of a day, its job starts tasks of the same engine that
judge parts of it (`spreading`); `bsky_assets.part` is the far end of these.
"""
