"""Jobs of a Ray cluster, through dagster-ray's Pipes client.

Where the cluster is and how one is let in are Ray's own variables: RAY_ADDRESS, RAY_AUTH_MODE,
RAY_AUTH_TOKEN. A job's environment is shown in Ray's dashboard, so secrets do not go with it: the
nodes have them in theirs.
"""

import shlex
from typing import Any

from dagster import AssetExecutionContext

from bsky_assets.errors import UserError
from bsky_assets.launching.jobs import Ended, Job, KeepsReports
from bsky_assets.settings import Settings


def run(context: AssetExecutionContext, job: Job, settings: Settings) -> Ended:
    """Run `job` and wait for its end; if this run is terminated, the job is stopped.

    Raises:
        UserError: Ray is not installed here, or does not let us in.
    """
    try:
        from dagster_ray.core.pipes import PipesRayJobClient, PipesRayJobMessageReader
        from ray.exceptions import AuthenticationError
    except ImportError as error:
        raise UserError(
            f"BSKY_LAUNCHER is ray, and Ray is not installed ({error}); "
            "install it with pip install -c constraints.txt -e '.[ray]'"
        ) from None

    class Reader(KeepsReports, PipesRayJobMessageReader):  # type: ignore[misc]  # untyped
        pass

    reader = Reader()
    client = PipesRayJobClient(message_reader=reader)
    try:
        client.run(context=context, submit_job_params=submission(job, settings))
    except AuthenticationError as error:
        raise UserError(f"Ray does not let this host in: {error}") from None
    except (RuntimeError, ConnectionError) as error:
        return reader.ended(str(error))
    return reader.ended()


def submission(job: Job, settings: Settings) -> dict[str, Any]:
    """The arguments of Ray's `submit_job`."""
    options = settings.ray_options
    environment = options.get("runtime_env", {})
    return {
        **options,
        "entrypoint": shlex.join(job.command),
        "runtime_env": {
            **environment,
            "env_vars": {**environment.get("env_vars", {}), **job.variables},
        },
    }
