"""Schedules as Kubernetes CronJobs: the file for ``kubectl apply -f``."""

from __future__ import annotations

from sandbox.errors import InputError
from sandbox.sweeps.schedule.job import PREFIX, Job

_CATCH_UP_SECONDS = 12 * 3600
"""A night that could not be begun in time is begun so much later at most."""
_NAME_MOST = 52
"""Characters of a CronJob's name (https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/)."""


def manifest(job: Job, image: str, *, zone: str = "Etc/UTC") -> dict[str, object]:
    """Return a CronJob.

    Args:
        job: The schedule; its paths are those in the image.
        image: With the package and the workspace.
        zone: Name of the time zone in which the time is meant.

    Raises:
        InputError: The sweep's name is too long.
    """
    name = job.name.replace("_", "-").rstrip("-")
    if len(name) > _NAME_MOST:
        raise InputError(f"{job.sweep!r} is longer than {_NAME_MOST - len(PREFIX)} characters")
    container = {
        "name": "sweep",
        "image": image,
        "command": job.command(),
        "workingDir": str(job.folder),
        "env": [{"name": "TZ", "value": zone}],
        # keys of providers, SANDBOX_STORE and SANDBOX_NOTIFY
        "envFrom": [{"secretRef": {"name": "agent-risk-sandbox", "optional": True}}],
    }
    labels = {"app.kubernetes.io/name": "agent-risk-sandbox", "app.kubernetes.io/instance": name}
    pod = {
        "metadata": {"labels": dict(labels)},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "schedule": job.when.cron(),
            "timeZone": zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _CATCH_UP_SECONDS,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 7,
            # a Pod that was lost is started again, and resumes the night
            "jobTemplate": {"spec": {"backoffLimit": 3, "template": pod}},
        },
    }


def text(job: Job, image: str, *, zone: str = "Etc/UTC") -> str:
    """Return a CronJob as YAML; see :func:`manifest`."""
    import yaml

    return yaml.safe_dump(manifest(job, image, zone=zone), sort_keys=False)
