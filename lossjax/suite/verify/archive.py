"""What a sweep stored, read with json and hashlib alone.

A second reading beside the one that the report is made from: which runs the grid has,
which of them are stored and whether each is what was written.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.store import places, schemas
from lossjax.suite.store.results import result_files
from lossjax.suite.store.sealing import SCHEMA
from lossjax.suite.store.untrusted import conform, parse_json, read_bytes

SETTING = ["dataset", "model", "latent_dim", "train_steps"]  # compared losses share it
AXES = ("datasets", "models", "code_sizes", "step_counts")  # the values of each
# The rest of a result is pictures and curves.
READ = (
    *("run", "status", "diverged_step", "validation_loss"),
    *("metrics", "kept", "provenance"),
)


@dataclasses.dataclass(frozen=True)
class Archive:
    """One directory: its description, and the stored runs that can be trusted."""

    sweep: Sweep
    description: Mapping[str, Any]  # sweep.json
    grid: Sequence[tuple[str, str]]  # arm's loss and run_id, in display order
    runs: Mapping[str, Mapping[str, Any]]  # of the grid, by run_id, in display order
    foreign: Mapping[str, Mapping[str, Any]]  # not in the grid, by run_id
    missing: Mapping[str, Mapping[str, Any]]  # what each would be, by run_id
    damaged: Mapping[str, str]  # path -> what is wrong with it

    def settings(self) -> Iterator[tuple[Any, ...]]:
        """Every setting of the grid in display order."""
        return itertools.product(*(getattr(self.sweep, axis) for axis in AXES))

    def model(self, setting: tuple[Any, ...]) -> str:
        """The model as the report calls it: with the axes that have several values."""
        named = [
            f"{name}={value}"
            for name, axis, value in zip(SETTING, AXES, setting, strict=True)
            if axis in ("code_sizes", "step_counts")
            and len(getattr(self.sweep, axis)) > 1
        ]
        return setting[1] + (f"[{','.join(named)}]" if named else "")

    def name(self, run: Mapping[str, Any]) -> str:
        """The comparison that a run belongs to."""
        setting = tuple(run[name] for name in SETTING)
        return f"{run['dataset']} / {self.model(setting)}"

    def mark(self, *losses: str) -> str:
        """What a table says where one of these has a dial."""
        if all(len(self.sweep.members[loss]) == 1 for loss in losses):
            return ""
        return f"dial chosen by {self.sweep.primary_metric} on validation"

    def table(self) -> pd.DataFrame:
        """One line per run of the grid; `chosen` marks the one that a seed counts by.

        That is the surviving run of smallest own loss on validation images, of equal
        ones that of the smaller learning rate. Of a dial's values, each with the rate
        that it so has, the one of best primary metric on validation images, of equal
        ones the smallest.
        """
        lines = [
            {**result["run"], "arm": arm, "run_id": run_id}
            | {name: result[name] for name in ("status", "diverged_step")}
            | {"validation_loss": result["validation_loss"]}
            | dict(result["metrics"])
            for arm, run_id in self.grid
            if (result := self.runs.get(run_id)) is not None
        ]
        table = pd.DataFrame(lines).drop(columns="fixed")
        numbers = [n for n in table if n.startswith(("val", "test_", "diag_"))]
        table[numbers] = table[numbers].astype(float)  # null becomes NaN
        alive = table[table["status"].eq("ok") & table["validation_loss"].notna()]
        chosen = alive.sort_values(["validation_loss", "learning_rate"])
        chosen = chosen.drop_duplicates([*SETTING, "arm", "loss", "seed"])
        primary = self.sweep.primary_metric
        rising = self.description["metrics"][primary]["direction"] == "lower"
        if (column := f"val_{primary}") in chosen:
            # The table is in the order of the dials' values, which a stable sort keeps.
            chosen = chosen.sort_index().sort_values(
                column, ascending=rising, kind="stable", na_position="last"
            )
        chosen = chosen.drop_duplicates([*SETTING, "arm", "seed"])
        return table.assign(chosen=table.index.isin(chosen.index))


def read(out: Path) -> Archive:
    """The archive in a directory.

    Raises:
      UserError: there is none, or it is of another schema.
      ValueError: sweep.json is not what was written.
    """
    if not out.is_dir():
        raise UserError(f"--out={out}: no such directory; ./run.sh sweep writes it")
    path = out / "sweep.json"
    if not path.is_file():
        raise UserError(
            f"--out={out}: holds no sweep.json; ./run.sh sweep --out={out} writes it"
        )
    try:
        description = _payload(path, schemas.SWEEP)
    except OtherSchema as error:
        raise UserError(f"--out={out}: sweep.json: {error}") from error
    try:
        sweep = Sweep.from_json(description["config"])
    except TypeError as error:
        raise UserError(
            f"--out={out}: sweep.json is of another version of the suite: {error}"
        ) from error
    if absent := set(sweep.datasets) - set(description["datasets"]):
        raise ValueError(f"describes no dataset {min(absent)!r}")
    if sweep.primary_metric not in description["metrics"]:
        raise ValueError(f"describes no metric {sweep.primary_metric!r}")
    stored, damaged = _stored(out)
    each = [(arm, digest(run)[:16], run) for arm, run in _grid(sweep, description)]
    grid = {run_id: run for _, run_id, run in each}
    return Archive(
        sweep,
        description,
        [(arm, run_id) for arm, run_id, _ in each],
        {run_id: stored[run_id] for run_id in grid if run_id in stored},
        {run_id: each for run_id, each in stored.items() if run_id not in grid},
        {run_id: run for run_id, run in grid.items() if run_id not in stored},
        damaged,
    )


class OtherSchema(ValueError):
    """A file of another version of the suite."""


def digest(value: Any) -> str:
    """sha256, in hex, of a value's JSON with sorted keys and without spaces."""
    return hashlib.sha256(_compact(value).encode()).hexdigest()


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _payload(path: Path, schema: Any) -> Any:
    """What a sealed file holds; ValueError says why it cannot be trusted."""
    content = read_bytes(path)
    sealed = parse_json(content, path.name)
    if not isinstance(sealed, dict) or set(sealed) != {"schema", "sha256", "payload"}:
        raise ValueError("not a file of this suite")
    if sealed["schema"] != SCHEMA:
        raise OtherSchema(
            f"schema {sealed['schema']!r}, this version reads {SCHEMA}; train it anew"
        )
    # Blanks tell indented text from packed text; nothing else may differ.
    as_written = _bare(_compact(sealed).encode()) == _bare(content)
    if digest(sealed["payload"]) != sealed["sha256"] or not as_written:
        raise ValueError("its sha256 does not match its content")
    conform(sealed["payload"], schema, path.name)
    return sealed["payload"]


def _bare(text: bytes) -> bytes:
    return text.translate(None, b" \t\n\r")


def _stored(out: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The sound results by run_id, and what is wrong with the others by path."""
    sound: dict[str, dict[str, Any]] = {}
    damaged: dict[str, str] = {}
    for path in result_files(out):
        try:
            result = _payload(path, schemas.RESULT)
            run_id = digest(result["run"])[:16]
            if run_id != path.parent.name:
                raise ValueError(f"holds run {run_id}")
            sound[run_id] = {name: result[name] for name in READ}
        except FileNotFoundError:
            damaged[f"runs/{path.parent.name}"] = "holds no result.json"
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error)
            damaged[str(path.relative_to(out))] = " ".join(reason.split())
        except (KeyError, TypeError) as error:
            damaged[str(path.relative_to(out))] = f"not a result: {error}"
    folders = {path.parent.name for path in result_files(out)}
    for name in sorted(places.names(out / "runs") - folders):
        damaged[f"runs/{name}"] = "holds no result.json"
    return sound, damaged


def _grid(
    sweep: Sweep, description: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every run that the sweep asks for, with its arm's loss, in display order."""
    numerics = description["provenance"]["numerics"]
    values = [getattr(sweep, axis) for axis in AXES]
    members, shares, fixed = sweep.members, _shares(sweep), sweep.fixed()
    arms = itertools.product(*values, sweep.losses, sweep.seeds)
    tried = (
        (setting, arm, loss, seed, rate)
        for *setting, arm, seed in arms
        for loss, number in zip(members[arm], shares[arm], strict=True)
        for rate in _rates(sweep.learning_rates, number)
    )
    for setting, arm, loss, seed, rate in tried:
        fingerprint = description["datasets"][setting[0]]["fingerprint"]
        yield (
            arm,
            {
                **dict(zip(SETTING, setting, strict=True)),
                "loss": loss,
                "learning_rate": rate,
                "seed": seed,
                "fixed": fixed
                | sweep.source_of(loss, setting[1])
                | {"fingerprint": fingerprint, "numerics": numerics},
            },
        )


def _shares(sweep: Sweep) -> dict[str, list[int]]:
    """How many rates each value of an arm's dial has: of all arms as many runs."""
    members = sweep.members
    runs = len(sweep.learning_rates) * max(map(len, members.values()))
    shares = {}
    for arm, losses in members.items():
        each, more = divmod(runs, len(losses))
        shares[arm] = [each + (place < more) for place in range(len(losses))]
    return shares


@functools.cache
def _rates(rates: tuple[float, ...], number: int) -> list[float]:
    """The rates, and so many between them that there are `number`.

    They split the gaps as evenly as can be: again and again the gap whose steps are
    the largest gets one step more.
    """
    ends = sorted(rates)
    steps = dict.fromkeys(zip(ends, ends[1:], strict=False), 1)
    for _ in range(number - len(ends)):
        widest = max(
            steps, key=lambda gap: round(np.log(gap[1] / gap[0]) / steps[gap], 9)
        )
        steps[widest] += 1
    found = set(ends)
    for (low, high), count in steps.items():
        for step in range(1, count):
            exact = np.exp(np.log(low) + np.log(high / low) * step / count)
            found.add(float(f"{exact:.2e}"))
    return sorted(found)
