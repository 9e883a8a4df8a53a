"""Runs on the Ray cluster, with its Python: one task a shard, until all are done."""

import json
import os
import subprocess
import sys
from typing import Any

import ray

RETRIES = 20


class ShardInterrupted(Exception):
    """The sweep was told to stop and can go on (exit code 75)."""


def main() -> int:
    facts = json.loads(os.environ["LOSSJAX_LAUNCH"])
    ray.init()
    kind, _, count = facts["accelerator"].partition(":")
    options: dict[str, Any] = {"num_cpus": 1}
    device = "cuda"
    if kind == "CPU":
        device, options["num_cpus"] = "cpu", int(count or 1)
    elif kind.startswith("TPU-"):
        device = "tpu"
        options |= {"resources": {"TPU": int(count or 1)}, "accelerator_type": kind}
    else:
        options |= {"num_gpus": int(count or 1), "accelerator_type": kind}
    task = ray.remote(
        max_retries=RETRIES, retry_exceptions=[ShardInterrupted], **options
    )(shard)
    count = facts["shards"]
    pending = {
        task.remote(facts["command"], f"{i}/{count}", device): i for i in range(count)
    }
    worst = 0
    while pending:
        (done,), _ = ray.wait(list(pending))
        index = pending.pop(done)
        try:
            code = ray.get(done)
        except Exception as error:  # a task that ran out of retries says why
            print(f"shard {index}/{count}: {error}", flush=True)
            code = 1
        print(f"shard {index}/{count}: exit code {code}", flush=True)
        worst = max(worst, code)
    return worst


def shard(command: list[str], which: str, device: str) -> int:
    """One shard's sweep; the same command again resumes it.

    The nodes may share a home: every kind of device has an environment of its own.
    """
    words = [*command[:-2], f"--shard={which}", command[-1]]
    device = os.environ.get("LOSSJAX_DEVICE", device)
    home = os.path.expanduser(f"~/.cache/lossjax/venv-{device}")
    ours = {"LOSSJAX_VENV": home, "LOSSJAX_DEVICE": device}
    environment = ours | dict(os.environ)
    ended = subprocess.run(words, env=environment)
    if ended.returncode == 75:
        raise ShardInterrupted(f"shard {which}")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
