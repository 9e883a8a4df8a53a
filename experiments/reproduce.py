"""The verb `reproduce`: trains what a study needs, or counts its stored rows again.

jax is imported where something is trained, and nowhere else.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from rich.console import Console
from rich.table import Table

from experiments import store
from experiments.commandline import ROOT, Exit, Interrupted, Interrupts, parse, run
from experiments.config import UserError, unknown
from experiments.report.album import slug
from experiments.studies import folder, rows
from experiments.studies.study import Outcome, Study
from experiments.studies.table import STUDIES

USAGE = """
./run.sh reproduce [STUDY ...] [--list] [--all] [--quick] [--from-stored] [--out=DIR]

Trains what a study needs, through the same grid, store and resume as a sweep, and puts
what was expected beside what is found: DIR/STUDY holds a figure (SVG, PNG, PDF), tables
(Markdown, LaTeX, CSV), summary.json and the rows that all of it is computed from. Run
it again and nothing is trained twice; stop it at any time, run it again to go on.

  ./run.sh reproduce --list                  what there is, and what it takes
  ./run.sh reproduce planted_noise --quick   a small version: does it run?
  ./run.sh reproduce --all --from-stored     from results/published; no jax, no data
"""


def main(arguments: list[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_string(
        "out", None, "directory of results (results/local/reproduce)", values
    )
    for name, words in (
        ("list", "say which studies there are"),
        ("all", "every study"),
        ("quick", "few trials: shows that it runs, not what it finds"),
        ("from-stored", "count the published rows again, train nothing"),
        ("publish", "copy rows, summary and figure to results/published"),
    ):
        flags.DEFINE_bool(name, False, words, flag_values=values)
    names = parse(values, arguments, USAGE, operands=len(STUDIES))
    for name in names:
        if name not in STUDIES:
            raise unknown("study", name, STUDIES)
    chosen = {key: values[key].value for key in ("list", "all", "quick", "publish")}
    from_stored = values["from-stored"].value
    console = Console()
    if chosen["list"]:
        _list(console)
        return Exit.DONE
    if chosen["all"] and names:
        raise UserError(f"--all and study {names[0]!r}: name studies or take them all")
    if not names and not chosen["all"]:
        raise UserError(f"no study named; valid: {', '.join(STUDIES)}, or --all")
    if chosen["quick"] and (from_stored or chosen["publish"]):
        raise UserError("--quick: stored and published rows are those of full size")
    if from_stored and chosen["publish"]:
        raise UserError("--publish: stored rows are published already")
    out = Path(values.out or ROOT / "results" / "local" / "reproduce")
    studies = [STUDIES[n] for n in (STUDIES if chosen["all"] else dict.fromkeys(names))]
    if from_stored:
        failed = [_from_stored(study, out / study.name, console) for study in studies]
        return Exit.FAILED if any(failed) else Exit.DONE
    if chosen["quick"]:
        out = out / "quick"
    again = shlex.join(["./run.sh", "reproduce", *arguments])
    lost = _train(studies, out, bool(chosen["quick"]), again, console)
    for study in studies:
        _conclude(study, out / study.name, out / study.name, console)
        if chosen["publish"]:
            folder.publish(study, out / study.name)
    return Exit.FAILED if lost else Exit.DONE


def _from_stored(study: Study, out: Path, console: Console) -> bool:
    """Count the published rows again; whether they contradict what is published."""
    place = folder.PUBLISHED / study.name
    outcome = _conclude(study, place, out, console)
    published = folder.summary_of(study)
    same = published is None or published["counts"] == _plain(outcome.counts)
    if not same:
        console.print(f"{study.name}: published counts differ from these", style="red")
    return not same


def _conclude(study: Study, source: Path, out: Path, console: Console) -> Outcome:
    """Count, write, print."""
    outcome, made = folder.conclude(study, source)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out={out}: cannot be made: {error.strerror}") from None
    folder.write(study, outcome, made, out)
    table = Table(title=f"{study.name}: {study.what}", title_justify="left")
    for column in outcome.table:
        table.add_column(str(column), overflow="fold")
    for line in outcome.table.itertuples(index=False):
        table.add_row(*map(str, line))
    console.print(table)
    if made["quick"]:
        console.print(
            "a small version: it shows that the study runs; its trials are too few for "
            "the limits",
            highlight=False,
            soft_wrap=True,
        )
    decided = [finding for finding in outcome.findings if finding.decides]
    for finding in decided:
        if not finding.holds and not made["quick"]:
            console.print(
                f"differs: {finding.what}: {finding.ours}, expected {finding.expected}"
                f"{'. ' if finding.reason else ''}{finding.reason}",
                style="red",
                highlight=False,
                soft_wrap=True,
            )
    held = sum(finding.holds for finding in decided)
    if not made["quick"]:
        console.print(f"{held} of {len(decided)} expectations hold", highlight=False)
    console.print(f"figure, tables, rows: {out}\n", highlight=False, soft_wrap=True)
    return outcome


def _train(
    studies: Sequence[Study], out: Path, quick: bool, again: str, console: Console
) -> int:
    """Train what is missing of every grid and write its rows; how many runs failed."""
    from experiments import grid
    from experiments import sweep as program

    program.check_out(out)
    interrupts: Interrupts | None = None
    failed = 0
    for study in studies:
        place = out / study.name
        found: list[rows.Row] = []
        grids = study.grids(quick)
        metric: dict[str, Any] = {}
        for number, (name, planned) in enumerate(grids.items(), start=1):
            sweep = program.checked(planned)
            datasets = program.load(sweep)
            if interrupts is None:
                interrupts = Interrupts()
                program.start_platform(sweep, None, console)
            described = program.describe(sweep, datasets)
            console.print(
                f"{study.name} {number}/{len(grids)}: {name}, {len(datasets)} datasets",
                highlight=False,
            )
            directory = place / "grids" / slug(name)
            try:
                directory.mkdir(parents=True, exist_ok=True)
                store.write_sweep(directory, described)
                failed += grid.train(
                    sweep,
                    datasets,
                    described,
                    directory,
                    (0, 1),
                    interrupts,
                    console,
                    quiet=True,
                )
            except Interrupted as error:
                raise Interrupted(
                    f"{error}; every finished run is kept in {out}; to go on: {again}"
                ) from None
            metric = {"metric": sweep.primary_metric} | described["metrics"][
                sweep.primary_metric
            ]
            found += rows.of_sweep(name, directory)
        _write_rows(place, found, metric, described["provenance"], quick)
    return failed


def _write_rows(
    place: Path,
    found: Sequence[rows.Row],
    metric: dict[str, Any],
    provenance: dict[str, Any],
    quick: bool,
) -> None:
    """The two files that everything else is computed from."""
    seconds = sum(result.provenance.get("seconds", 0) for _, result in found)
    made = {
        "quick": quick,
        "judge": {
            "metric": metric["metric"],
            "direction": metric["direction"],
            "margin": metric["margin"]["value"],
            "relative": metric["margin"]["relative"],
        },
        "runs": len(found),
        "minutes": round(seconds / 60, 1),
        "provenance": provenance,
    }
    store.publish(place / folder.ROWS, rows.packed(found, metric["metric"]))
    store.publish(place / folder.MADE, json.dumps(made, indent=1) + "\n")


def _list(console: Console) -> None:
    table = Table()
    table.add_column("study", no_wrap=True)
    for column in ("what", "source", "data", "minutes", "rows stored"):
        table.add_column(column, overflow="fold")
    for study in STUDIES.values():
        summary = folder.summary_of(study)
        minutes = "not measured" if summary is None else str(summary["made"]["minutes"])
        kept = "yes" if folder.stored(study) else "no"
        table.add_row(study.name, study.what, study.source, study.data, minutes, kept)
    console.print(table)
    console.print("minutes: of training, measured on 2 shared CPU cores")


def _plain(counts: Any) -> Any:
    """As JSON gives them back."""
    return json.loads(json.dumps(counts))


if __name__ == "__main__":
    run(main)
