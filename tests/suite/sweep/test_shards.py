"""Which part of a grid a process takes for its own."""

import pytest

from lossjax.suite.cli.errors import UserError
from lossjax.suite.sweep import shards

ARRAY = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}
STEP = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "8"}
SLICE = {"TPU_WORKER_ID": "2", "TPU_WORKER_HOSTNAMES": "a,b,c,d"}
POD = {"JOB_COMPLETION_INDEX": "5", "LOSSJAX_SHARDS": "6"}
NODES = {"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "2"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (ARRAY, (3, 4)),
        (ARRAY | {"SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "4"}, (2, 4)),
        (
            {f"SLURM_ARRAY_TASK_{k}": str(v) for k, v in zip(
                ("ID", "MIN", "MAX", "STEP", "COUNT"), (7, 1, 9, 3, 3), strict=True
            )},
            (2, 3),
        ),
        (STEP, (1, 8)),
        (ARRAY | STEP, (25, 32)),
        (POD, (5, 6)),
        (POD | SLICE, (5, 6)),
        (SLICE, (2, 4)),
        (SLICE | NODES, (0, 2)),
        ({"LOSSJAX_SHARD": "1/3"} | NODES, (2, 6)),
        ({"LOSSJAX_SHARD": "1/3"}, (1, 3)),
    ],
    ids=str,
)  # fmt: skip
def test_a_scheduler_says_which(variables: dict, expected: tuple[int, int]) -> None:
    assert shards.part("auto", variables) == expected


def test_tasks_of_tasks_take_every_part_once() -> None:
    parts = [
        shards.part(
            "auto",
            ARRAY | STEP | {"SLURM_ARRAY_TASK_ID": str(i), "SLURM_PROCID": str(j)},
        )
        for i in range(4)
        for j in range(8)
    ]
    assert parts == [(part, 32) for part in range(32)]


def test_only_the_hosts_of_a_slice_need_no_flag() -> None:
    assert shards.part(None, SLICE) == (2, 4)
    one = {"TPU_WORKER_ID": "0", "TPU_WORKER_HOSTNAMES": "localhost"}
    # An array may as well have a config for each task.
    for variables in ({}, one, ARRAY, STEP, POD):
        assert shards.part(None, variables) == (0, 1)
    # Who names a part means that one.
    assert shards.part("1/2", SLICE | ARRAY) == (1, 2)


@pytest.mark.parametrize(
    ("text", "variables", "words"),
    [
        ("3/3", {}, "--shard=3/3: must be i/n"),
        ("a/b", {}, "for example 0/3, or auto"),
        ("auto", {}, "SLURM_ARRAY_TASK_ID"),
        ("auto", {"JOB_COMPLETION_INDEX": "5"}, "LOSSJAX_SHARDS=not set"),
        ("auto", POD | {"LOSSJAX_SHARDS": "5"}, "is no task of so many"),
        ("auto", {"LOSSJAX_SHARD": "x"}, "LOSSJAX_SHARD=x"),
        (
            "auto",
            ARRAY | {"SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "9"},
            "a Slurm array",
        ),
        (None, SLICE | {"TPU_WORKER_ID": "4"}, "TPU_WORKER_ID=4"),
    ],
)
def test_what_is_no_part_is_one_line(text, variables, words) -> None:
    with pytest.raises(UserError) as refusal:
        shards.part(text, variables)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
