"""The advice: looks, compares within the time, lets a pilot add one loss, words it."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import lossjax
from lossjax import CODE_METRICS
from lossjax.suite import config, pilot, shipped, shortlist
from lossjax.suite.advise import look, reading, timetable
from lossjax.suite.cards import paste
from lossjax.suite.cli.errors import UserError, unknown
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.data import Dataset
from lossjax.suite.report import advising, evidence
from lossjax.suite.report.recommendation import Recommendation
from lossjax.suite.store import ownership, places, sealing
from lossjax.suite.store import results as store
from lossjax.suite.sweep import (
    backend,
    data_checks,
    notebook,
    output,
    timing,
)
from lossjax.suite.sweep.description import describe
from lossjax.suite.wording import count

LEAST = 0.2  # minutes
_REPORT_S = 3.0  # the page, and the code to paste
_PROGRAMS = 4  # of all steps and of half of them, and what a pilot adds likewise
_TRAINS = 0.4  # of the time at least is for training, though compilation took more
# Fields of a config that the advisor sets itself.
OWN = (
    "datasets", "losses", "learning_rates", "seeds", "budgets", "latent_dims",
    "train_steps", "primary_metric",
)  # fmt: skip


def advise(
    images: Any,
    purpose: str,
    minutes: float,
    labels: Any,
    mask: Any,
    out: str | PathLike[str] | None,
    fields: Mapping[str, Any],
    console: Terminal,
) -> Recommendation:
    """See `lossjax.recommend`."""
    began = time.monotonic()
    notebook.refuse_wide("recommend")
    if purpose not in shortlist.PURPOSES:
        raise unknown("purpose", purpose, shortlist.PURPOSES)
    if not (isinstance(minutes, int | float) and LEAST <= minutes < math.inf):
        raise UserError(
            f"minutes = {minutes}: must be a number of at least {LEAST}, which is "
            f"{60 * LEAST:g} seconds; 5 is usual"
        )
    if taken := [name for name in fields if name in OWN]:
        raise UserError(
            f"config.{taken[0]}: the advisor chooses it; a comparison of your own is "
            f"{shipped.COMMAND} sweep"
        )
    row, minutes = shortlist.PURPOSES[purpose], float(minutes)  # 5 asks as 5.0 does
    with contextlib.ExitStack() as refused:
        name = notebook.named(images, labels, mask, refused)
        sweep = reading.question_of(name, row, fields)
        asked = {"config": sweep.to_json(), "purpose": purpose, "minutes": minutes}
        question = sealing.digest(asked)
        place = _place(sweep, question, out)
        console.print(f"reading {sweep.datasets[0]}", soft_wrap=True)
        sweep, loaded = reading.read(sweep, fields)
        if row.metric in CODE_METRICS and not reading.labelled(loaded):
            raise UserError(
                f"--for={purpose}: needs labels, and {sweep.datasets[0]} has none; "
                "sub-folders of pictures are labels, and so are those of an array"
            )
        backend.start(sweep, None, console)
        notes = data_checks.check(sweep, loaded)[:-1]  # seeds are planned below
        refused.pop_all()
    (dataset,) = loaded.values()
    found: dict[str, Any] = {
        "question": question,
        "purpose": purpose,
        "minutes": minutes,
        "look": look.look(dataset),
        "trivial": look.trivial(dataset, sweep.primary_metric, sweep.latent_dim),
        "pilot": None,
        "notes": notes + reading.made_of(sweep, dataset),
        "losses": {},
    }
    for line in (*advising.seen(found), *found["notes"]):
        console.print(line, soft_wrap=True)
    held = _begun(place, question, sweep)
    # Of what is begun a second call compares what is left, whatever that takes.
    sweep, more_takes = (
        (held, 0.0)
        if held
        else _planned(sweep, loaded, row.dial, minutes, began, console)
    )
    output.make(place)
    _train(sweep, loaded, found, place, console)
    if row.dial and (run := _pilot_run(place)) is not None:
        said = pilot.of_run(run, dataset)
        found["pilot"] = _facts(said, run)
        if told := advising.of_pilot(found):
            console.print(told, soft_wrap=True)
        added = shortlist.dialled(said.g) if found["pilot"] else ()
        more = tuple(lossjax.resolve(x).name for x in added)
        left = 60 * minutes - _REPORT_S - (time.monotonic() - began)
        if more and more_takes > left:
            found["notes"].append(
                f"{more[0]}, which the pilot suggests, was not compared: no time left"
            )
            console.print(found["notes"][-1], soft_wrap=True)
            more = ()
        sweep = dataclasses.replace(sweep, losses=(*sweep.losses, *more))
        if more:
            _train(sweep, loaded, found, place, console)
        else:
            store.write_sweep(place, _described(sweep, loaded, found))
    console.print("writing the report")
    return Recommendation.of(place)


def _place(sweep: config.Sweep, question: str, out: str | PathLike[str] | None) -> Path:
    """Where it goes: nowhere in the folder that is looked at.

    Raises:
      UserError: that cannot be, or something else is there.
    """
    if out is None:
        place = (shipped.LOCAL / f"advise-{question[:8]}").absolute()
    else:
        place = places.parse(fspath(out))
    if places.is_remote(place):
        raise UserError(f"--out={out}: advice is kept in a folder of this machine")
    kind, _, folder = sweep.datasets[0].partition(":")
    pictures = Path(folder).resolve()
    if kind in ("images", "idx") and place.resolve().is_relative_to(pictures):
        raise UserError(
            f"--out={place}: lies in the folder that is looked at, where nothing is "
            "changed; name another directory"
        )
    output.check(place)
    ownership.check(place)
    return place


def _begun(place: Path, question: str, sweep: config.Sweep) -> config.Sweep | None:
    """The sweep that was begun there for the same question, without what a pilot added.

    So a second call trains nothing twice, however fast the machine is then.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        held = store.read_sweep(place)
        if held["advice"]["question"] == question:
            planned = "seeds", "learning_rates", "train_steps", "budgets", "losses"
            begun = notebook.begun(held, sweep, *planned)
            if begun and begun.losses[: len(sweep.losses)] == sweep.losses:
                return dataclasses.replace(begun, losses=sweep.losses)
    return None


def _planned(
    sweep: config.Sweep,
    loaded: dict[str, Dataset],
    dial: bool,
    minutes: float,
    began: float,
    console: Terminal,
) -> tuple[config.Sweep, float]:
    """The sweep with what fits so many seconds, and those of a loss that is added.

    Raises:
      UserError: nothing does.
    """
    console.print("measuring how long a run takes")
    cost = timing.cost_of(sweep, loaded)
    # What was compiled is compiled again as other programs; the next call finds them,
    # so that the first one may take longer than it was given.
    compiling = _PROGRAMS * cost.compiling
    left = 60 * minutes - (time.monotonic() - began) - compiling - _REPORT_S
    room = max(left, _TRAINS * 60 * minutes)
    chosen, fits = timetable.best_within(len(sweep.losses), cost, room, dial)
    if not fits:
        least = minutes + (chosen.seconds - room) / 60
        raise UserError(
            f"minutes = {minutes:g}: the smallest comparison needs about "
            f"{math.ceil(10 * least) / 10:g} here; a smaller --config.image_size needs "
            "less"
        )
    console.print(
        f"comparing {', '.join(sweep.losses)}: {count(len(chosen.seeds), 'seed')} x "
        f"{count(len(chosen.learning_rates), 'learning rate')} of "
        f"{' and '.join(count(steps, 'step') for steps in chosen.step_counts)} each, "
        f"about {chosen.seconds:.0f} s"
        + (", with a loss that a pilot may add" if chosen.dial else ""),
        soft_wrap=True,
    )
    sweep = dataclasses.replace(
        sweep,
        seeds=chosen.seeds,
        learning_rates=chosen.learning_rates,
        train_steps=chosen.step_counts[0],
        budgets=chosen.step_counts,  # the first is what is advised by
    )
    return sweep, chosen.added


def _train(
    sweep: config.Sweep,
    loaded: dict[str, Dataset],
    found: dict[str, Any],
    place: Path,
    console: Terminal,
) -> None:
    description = _described(sweep, loaded, found)
    notebook.train(sweep, loaded, description, place, console, "best")


def _described(
    sweep: config.Sweep, loaded: dict[str, Dataset], found: dict[str, Any]
) -> dict[str, Any]:
    """What sweep.json says, with what is found so far."""
    found["losses"] = {name: _pasted(name) for name in sweep.losses}
    return describe(sweep, loaded) | {"advice": found}


def _pasted(name: str) -> dict[str, Any]:
    """How a loss's raw output becomes an image, and its code, where there is some."""
    loss = lossjax.resolve(name)
    code = {}
    for library in paste.LIBRARIES:
        try:
            code[library] = paste.code(loss, library)
        except UserError as error:
            code[library] = f"# {error}"
    return {"output": loss.link.__name__.strip("_"), "code": code}


def _pilot_run(place: Path) -> Path | None:
    """The kept network of bce's first seed; None where there is none."""
    (group,) = evidence.read(place).judged
    chosen = group.arms["bce"].chosen if "bce" in group.arms else ()
    return place / "runs" / chosen[0].run.run_id if chosen else None


def _facts(said: pilot.Pilot, run: Path) -> dict[str, Any] | None:
    g = said.g
    if not all(map(math.isfinite, (g.center, g.low, g.high))):
        return None
    return {
        "run": run.name,
        "images": said.images,
        "g": g.center,
        "low": g.low,
        "high": g.high,
        "tail": said.tail,
    }
