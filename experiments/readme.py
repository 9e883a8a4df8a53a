"""Makes the tables of README.md again, each between its markers.

`python -m experiments.readme` writes them; a test says when they are stale. Numbers
come from results/published, lists from the tables that the programs themselves read.
"""

import functools
import json
from collections.abc import Callable, Mapping

from tabulate import tabulate

from experiments import cards, store
from experiments.bench import table as bench
from experiments.commandline import ROOT, Exit, run
from experiments.config import UserError
from experiments.data import DATASETS
from experiments.report.published import PUBLISHED, refreshed
from experiments.studies import folder, surgery
from experiments.studies.finding import Verdict
from experiments.studies.study import Study
from experiments.studies.table import STUDIES


def main(arguments: list[str]) -> int:
    if arguments:
        raise UserError(f"stray argument {arguments[0]!r}: readme takes none")
    path = ROOT / "README.md"
    store.publish(path, made(path.read_text(encoding="utf-8")))
    return Exit.DONE


def made(text: str) -> str:
    """README.md's text with every marked table as it should be now."""
    text = refreshed(text, PUBLISHED)
    for name, table in TABLES.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (mark and end):
            raise UserError(f"README.md lacks <!-- {name} --> ... <!-- end -->")
        text = before + mark + table() + "\n" + end + after
    return text


def _datasets() -> str:
    rows = [
        (f"`{source.usage}`", source.shape, source.sizes, source.description)
        for source in DATASETS.values()
    ]
    head = ("name", "shape", "train / validation / test", "what it is")
    return tabulate(rows, head, tablefmt="pipe")


def _soak() -> str:
    rows = json.loads((PUBLISHED / "soak" / "soak.json").read_text(encoding="utf-8"))
    table = [
        (
            row["what"],
            row["injected"],
            row["detected"],
            row["lost"],
            f"{row['seconds']:.1f}",
            row["measured"],
        )
        for row in rows
    ]
    head = ("fault", "injected", "detected", "lost", "seconds to recover", "measured")
    return tabulate(table, head, tablefmt="pipe", floatfmt=".1f")


def _bench() -> str:
    path = PUBLISHED / "bench" / "bench.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    machine = found["hardware"]
    versions = next(iter(found["nets"].values()))["facts"]
    ours, twin = versions["ours"]["versions"], versions["as installed"]["torch"]
    return (
        f"Measured on {machine['processor']}, {machine['system']}, Python "
        f"{machine['python']}, jax {ours['jax']}, PyTorch {twin}.\n\n"
        f"{bench.markdown(found)}"
    )


def _study(study: Study) -> str:
    """A study's table, from its published summary."""
    summary = folder.summary_of(study)
    if summary is None:
        raise UserError(f"study {study.name} is not published; README.md shows it")
    return tabulate(
        summary["table"], headers="keys", tablefmt="pipe", disable_numparse=True
    )


def _studies() -> str:
    """Every study in a line."""
    head = ("study", "question", "minutes on 2 cores", "reproduced")
    lines = []
    for study in STUDIES.values():
        summary = folder.summary_of(study)
        minutes, held = "not measured", "not run"
        if summary is not None:
            verdicts = [f["verdict"] for f in summary["findings"]]
            decided = len(verdicts) - verdicts.count(Verdict.TOLD)
            minutes = f"{summary['made']['minutes']:g}"
            held = f"{verdicts.count(Verdict.REPRODUCED)} of {decided}"
        lines.append((f"`{study.name}`", study.what, minutes, held))
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


def _pairing() -> str:
    """Claim S3 in two sentences, from the published rows of the loss surgery."""
    summary = folder.summary_of(STUDIES["surgery"])
    if summary is None:
        raise UserError("study surgery is not published; README.md shows it")
    return surgery.answer(summary["counts"])


TABLES: Mapping[str, Callable[[], str]] = {
    "losses": cards.markdown,
    "datasets": _datasets,
    "soak": _soak,
    "bench": _bench,
    "studies": _studies,
    "pairing": _pairing,
    **{
        f"study {name}": functools.partial(_study, STUDIES[name])
        for name in ("aa", "planted_noise", "planted_variance", "link_and_start")
    },
}

if __name__ == "__main__":
    run(main)
