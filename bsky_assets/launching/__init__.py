"""Making a partition somewhere else than in the run: as a job of Slurm, Ray or Kubernetes.

Sync days are independent, and a partition is made by one function that knows nothing of Dagster
(`work`). `partition` calls it at the far end; `orchestration.launcher` sends it there through
Dagster Pipes and reads back from the lake what was written.
"""
