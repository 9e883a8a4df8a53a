"""An Indexed Job of Kubernetes: one pod a shard, on a cluster that is there."""

from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import UserError
from lossjax.suite.launch import commands
from lossjax.suite.launch.plan import Engine, LaunchPlan, as_yaml
from lossjax.suite.launch.request import LABEL, Request

RETRIES = 20  # of a pod that was told to stop and can go on
_KEPT_S = 86_400  # how long the cluster lists a job that has ended
_DATA = "/data"  # in a pod: where datasets are prepared


def render(request: Request, folder: Path) -> LaunchPlan:
    resource, _, count = request.accelerator.partition(":")
    script = f"set -eu\n{request.preparation()}exec {request.script()}\n"
    volumes: list[dict[str, Any]] = [{"name": "data", "emptyDir": {}}]
    mounts = [{"name": "data", "mountPath": _DATA}]
    if claim := request.options.get("volume"):
        claimed = {"claimName": claim}
        volumes.append({"name": "out", "persistentVolumeClaim": claimed})
        mounts.append({"name": "out", "mountPath": request.out})
    variables = {"LOSSJAX_SHARDS": str(request.shards), "TFDS_DATA_DIR": _DATA}
    container = {
        "name": "sweep",
        "image": request.options.get("image", ""),
        "command": ["bash", "-c", script],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": {"limits": {resource: int(count)}},
        "volumeMounts": mounts,
    }
    pod = {
        "restartPolicy": "Never",
        # As long as a sweep may take to save its state.
        "terminationGracePeriodSeconds": 120,
        "containers": [container],
        "volumes": volumes,
    }
    labels = {LABEL: request.name}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": request.label, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": request.shards,
            "parallelism": request.shards,
            "backoffLimitPerIndex": RETRIES,
            "maxFailedIndexes": request.shards,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": 3600 * request.hours,
            "ttlSecondsAfterFinished": _KEPT_S,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",  # a node that is drained is no failure
                        "onPodConditions": [{"type": "DisruptionTarget"}],
                    },
                    {
                        "action": "FailIndex",  # what would end so again
                        "onExitCodes": {"operator": "NotIn", "values": [0, 75]},
                    },
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    apply = ("kubectl", "apply", "--filename", str(folder / "job.yaml"))
    notes = (
        "unverified: the fields are those of Kubernetes 1.33; no cluster has run it",
        f"--image is what docker build --tag=... makes of the Dockerfile; pods reach "
        f"{request.out.partition('://')[0]} as the cluster lets them"
        if "://" in request.out
        else "every pod mounts the volume, so that it has to be ReadWriteMany",
    )
    return LaunchPlan({"job.yaml": as_yaml(job)}, (apply,), notes)


def _admit(request: Request) -> None:
    if "image" not in request.options:
        raise UserError("--image is missing; docker build makes it of the Dockerfile")


def _found(request: Request) -> list[str]:
    chosen = ("--selector", f"{LABEL}={request.name}")
    command = ("kubectl", "get", "jobs", *chosen, "--output=name")
    names = commands.run(command).output.split()
    return sorted(name.rpartition("/")[2] for name in names)


ENGINE = Engine(
    "kubectl",
    "https://kubernetes.io/docs/tasks/tools",
    render,
    _found,
    lambda request: ("kubectl", "get", "pods", f"--selector={LABEL}={request.name}"),
    lambda request, name: ("kubectl", "delete", "job", name),
    admit=_admit,
    takes=("image", "volume"),
)
