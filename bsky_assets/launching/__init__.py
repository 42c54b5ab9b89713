"""Making a partition somewhere else than in the run: as a job of Slurm, Ray or Kubernetes.

What belongs here: the one function that makes a partition (`work`), calling it at the far end
(`partition`), and each engine. What does not: Dagster, but for its Pipes; `orchestration.launcher`
sends work here and reads back from the lake what was written. A partition's name comes
in, that of its file goes out.
"""
