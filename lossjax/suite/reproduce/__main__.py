"""The verb `reproduce`: trains what a study needs, or counts its stored rows again.

jax is imported where something is trained, and nowhere else.
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from lossjax import NUMERICS
from lossjax.suite import shipped
from lossjax.suite.cli.commandline import parse
from lossjax.suite.cli.errors import Exit, Interrupted, UserError, unknown
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.reproduce import folder, ledger, page
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.finding import Verdict
from lossjax.suite.reproduce.study import Conclusion, Size, Study
from lossjax.suite.store import ownership, sealing
from lossjax.suite.verify import agreement

LEDGER = "claims"
USAGE = f"""
./run.sh reproduce [STUDY ...] [--list] [--all] [--quick] [--full]
                   [--from-stored] [--data=NAME=DATASET] [--out=DIR]

Trains what a study needs, through the same grid, store and resume as a sweep, and
compares what was published or expected with what is found: DIR/STUDY holds figures
(SVG, PNG, PDF), tables (Markdown, LaTeX, CSV), summary.json and the rows that all of it
is computed from. Run it again and nothing is trained twice; stop it at any time, run it
again to resume.

  ./run.sh reproduce claims                  the answers, from stored rows
  ./run.sh reproduce --list                  the studies: data, minutes, memory
  ./run.sh reproduce my_study.py --quick     a study of your own, by its file
  ./run.sh reproduce planted_noise --quick   a small version: does it run?
  ./run.sh reproduce cb_warp --full          at the source's size, where ours is less
  ./run.sh reproduce --all --from-stored     from results/published; no jax, no data
  ./run.sh reproduce keras_blog --data=mnist=idx:DIR     where the data lies

--from-stored ends with 1 where a study says something else than what is published:
{agreement.STATED}.
"""


def main(arguments: list[str]) -> int:
    values = _flags()
    names = parse(values, arguments, USAGE, operands=1 + len(STUDIES))
    out = Path(values.out or shipped.LOCAL / "reproduce")
    console = Terminal()
    if LEDGER in names:
        if len(names) > 1:
            raise UserError(f"{LEDGER} and {len(names) - 1} more: name {LEDGER} alone")
        return _claims(out, console)
    if values["list"].value:
        _list(console)
        return Exit.DONE
    from_stored, publish = values["from-stored"].value, values.publish
    studies = _chosen(names, values.all, publish)
    size = _size(values, studies)
    places = _places(values.data, studies, size == Size.QUICK)
    every = dict(STUDIES) | {study.name: study for study in studies}
    if size != Size.USUAL:
        out = out / size
    _check_own(out, studies)
    if from_stored:
        failed = [
            _from_stored(study, out / study.name, publish, console) for study in studies
        ]
        _page(every, out, console)
        return Exit.FAILED if any(failed) else Exit.DONE
    again = shlex.join(["./run.sh", "reproduce", *arguments])
    lost = _make(studies, out, places, size, publish, again, console)
    _page(every, out, console)
    return Exit.FAILED if lost else Exit.DONE


def _flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string(
        "out", None, "directory of results (results/local/reproduce)", values
    )
    for name, words in (
        ("list", "say which studies there are"),
        ("all", "every study"),
        ("quick", "few trials: shows that it runs, not what it finds"),
        ("full", "as the source did it, where the usual size is smaller; long"),
        ("from-stored", "count the published rows again, train nothing"),
        ("publish", "copy rows, summary and figure to results/published"),
    ):
        flags.DEFINE_bool(name, False, words, flag_values=values)
    flags.DEFINE_multi_string(
        "data", [], "NAME=DATASET: where needed data lies, as mnist=idx:DIR", values
    )
    return values


def _chosen(names: Sequence[str], every: bool, publish: bool) -> list[Study]:
    """The studies that are named, each once, or all of them."""
    if every and names:
        raise UserError(f"--all and study {names[0]!r}: name studies or take them all")
    if not names and not every:
        valid = ", ".join((*STUDIES, LEDGER))
        raise UserError(f"no study named; valid: {valid}, or --all")
    studies = [STUDIES.find(name) for name in (STUDIES if every else names)]
    chosen = list({study.file: study for study in studies}.values())
    named = [study.name for study in chosen]
    twice = [name for name in named if named.count(name) > 1]
    if twice:
        raise UserError(f"two files are named {twice[0]}.py: their rows would mix")
    for study in chosen:
        if publish and study.name not in STUDIES:
            raise UserError(f"--publish: {study.file} is not in experiments/")
    return chosen


def _size(values: flags.FlagValues, studies: Sequence[Study]) -> Size:
    """How much to train; only studies smaller than their source have a full size."""
    quick, full = values.quick, values.full
    if quick and full:
        raise UserError("--quick and --full: a study has one size at a time")
    size = Size.QUICK if quick else Size.FULL if full else Size.USUAL
    from_stored = values["from-stored"].value
    if size != Size.USUAL and (from_stored or values.publish):
        raise UserError(
            f"--{size}: stored and published rows are those of the usual size"
        )
    if values.publish:
        shipped.clone("--publish")
    for study in studies if size == Size.FULL else ():
        if not study.larger:
            larger = ", ".join(name for name, own in STUDIES.items() if own.larger)
            raise UserError(
                f"--full: study {study.name} has no larger size; valid: {larger}"
            )
    return size


def _claims(out: Path, console: Console) -> int:
    """Print the ledger, and write it as Markdown and as a part of the page."""
    _check_own(out, ())
    ownership.check_file(out / "claims.md", ledger.TITLE)
    entries = ledger.settled()
    ledger.show(entries, console)
    _made(out)
    sealing.publish(out / "claims.md", ledger.markdown(entries))
    _page(STUDIES, out, console)
    return Exit.DONE


def _check_own(out: Path, studies: Sequence[Study]) -> None:
    """Nobody else's page or summary is replaced."""
    ownership.check_file(out / "index.html", ownership.SIGN)
    for study in studies:
        summary = out / study.name / folder.SUMMARY
        ownership.check_file(summary, f'"study": "{study.name}"')


def _page(studies: Mapping[str, Study], out: Path, console: Console) -> None:
    """The page over all studies, beside their folders."""
    place = out / "index.html"
    sealing.publish(place, page.page(studies, out))
    console.print(f"page over all studies: {place}", soft_wrap=True)


def _made(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out={out}: cannot be made: {error.strerror}") from None


def _from_stored(study: Study, out: Path, publish: bool, console: Console) -> bool:
    """Count the published rows again; whether they contradict what is published.

    To publish is to replace what is said of the rows, which themselves stay.
    """
    place = shipped.PUBLISHED / study.name
    _conclude(study, place, out, console)
    if publish:
        folder.publish(study, out, with_rows=False)
        return False
    published = folder.summary_of(study)
    again = json.loads((out / folder.SUMMARY).read_text(encoding="utf-8"))
    if published is None:
        return False
    for part in ("counts", "findings"):
        if difference := agreement.values(again[part], published[part], f"/{part}"):
            text = f"{study.name}: what is published differs: {difference}"
            console.print(text, style="red", soft_wrap=True)
            return True
    return False


def _conclude(study: Study, source: Path, out: Path, console: Console) -> None:
    """Count, write, print."""
    conclusion, made = folder.conclude(study, source)
    _made(out)
    folder.write(study, conclusion, made, out)
    table = Table(title=f"{study.name}: {study.what}", title_justify="left")
    for column in conclusion.table:
        table.add_column(str(column), overflow="fold")
    for line in conclusion.table.itertuples(index=False):
        table.add_row(*map(str, line))
    console.print(table)
    if made["quick"]:
        console.print(
            "a small version: it shows that the study runs; its trials are too few for "
            "the limits",
            soft_wrap=True,
        )
    else:
        _print_findings(conclusion, console)
    if age := folder.age(made):
        console.print(f"rows {age}; this version's is {NUMERICS}")
    console.print(f"figure, tables, rows: {out}\n", soft_wrap=True)


def _print_findings(conclusion: Conclusion, console: Console) -> None:
    """What differs, what cannot be run, and how many findings there are of each."""
    judged = [finding for finding in conclusion.findings if finding.verdict]
    for finding in judged:
        if finding.verdict in (Verdict.REPRODUCED, Verdict.EXPECTED):
            continue
        parts = [f"{finding.words}: {finding.what}: expected {finding.expected}"]
        parts += [f"found {finding.ours}"] if finding.ours else []
        parts += [finding.reason] if finding.reason else []
        console.print(
            "; ".join(parts),
            style="red" if finding.verdict == Verdict.DIFFERS else "yellow",
            soft_wrap=True,
        )
    verdicts = [finding.verdict for finding in judged]
    counts = [f"{verdicts.count(v)} {v}" for v in Verdict if v in verdicts]
    console.print(f"of {len(judged)} findings: {', '.join(counts)}")


def _make(
    studies: Sequence[Study],
    out: Path,
    places: Mapping[str, str],
    size: Size,
    publish: bool,
    again: str,
    console: Console,
) -> int:
    """Make what is missing of every study's rows and say what they say.

    Of a study in parts after each part: what is whole is published, whatever becomes of
    the next.

    Returns:
      How many runs failed.
    """
    from lossjax.suite.reproduce import maker as making

    for line in making.check_data(studies, places, wishes=publish):
        console.print(line, style="yellow", soft_wrap=True)
    maker = making.Maker(studies, out, places, size, console)
    lost = 0
    try:
        for study in studies:
            place = out / study.name
            for failed in maker.make(study):
                lost += failed
                source = place
                if publish and study.parts:  # counted with those published before
                    source = folder.publish_rows(study, place)
                _conclude(study, source, place, console)
                if publish:
                    folder.publish(study, place, with_rows=not study.parts)
        return lost
    except Interrupted as error:
        raise Interrupted(
            f"{error}; every finished run is kept in {out}; to go on: {again}"
        ) from None


def _places(
    texts: Sequence[str], studies: Sequence[Study], quick: bool
) -> dict[str, str]:
    """Where the data lies that studies need, from --data=NAME=DATASET."""
    needed = dict.fromkeys(name for s in studies for name in (*s.needs, *s.wishes))
    places: dict[str, str] = {}
    for text in texts:
        name, _, dataset = text.partition("=")
        if not dataset:
            raise UserError(f"--data={text}: must be NAME=DATASET, as mnist=idx:DIR")
        if name not in needed:
            raise unknown("name in --data", name, needed or ["none is needed"])
        if dataset != name and not dataset.startswith("idx:") and not quick:
            raise UserError(
                f"--data={text}: {dataset} is not {name}; say where its files are, "
                f"{name}=idx:DIR (other images only with --quick)"
            )
        places[name] = dataset
    return places


def _list(console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("study", no_wrap=True)
    for column in ("minutes", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("rows stored", no_wrap=True)
    table.add_column("data")
    for study in STUDIES.values():
        summary = folder.summary_of(study)
        made = {} if summary is None else summary["made"]
        minutes, memory = made.get("minutes"), made.get("memory_mb")
        table.add_row(
            study.name,
            "unknown" if minutes is None else f"{minutes:.2g}",
            "unknown" if memory is None else f"{memory} MB",
            _rows(study, made),
            _data(study),
        )
    console.print(table)
    console.print(
        "minutes and peak memory: measured on 2 CPU cores; unknown: not measured\n"
    )
    for study in STUDIES.values():
        console.print(f"{study.name}: {study.what}")
        source = Padding(f"source: {study.source}", (0, 0, 0, 4))
        console.print(source)


def _rows(study: Study, made: Mapping[str, Any]) -> str:
    """Whether a study's rows are stored, and whether they are of an older version."""
    if not folder.stored(study):
        return "no"
    return ", ".join(filter(None, ("yes", folder.age(made))))


def _data(study: Study) -> str:
    """Which data a study takes, in words."""
    wished = [f"{name} (if there)" for name in study.wishes]
    return ", ".join((*study.needs, *wished)) or "none"


if __name__ == "__main__":
    run(main, sys.argv[1:])
