"""Makes the tables of README.md again, each between its markers.

`python -m lossjax.suite.docs.readme` writes them; a test says when they are stale.
Numbers come from results/published, lists from the tables that the programs themselves
read.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping

from tabulate import tabulate

from lossjax.losses.checks import Choice, Parameter, literal
from lossjax.models.autoencoders import MODELS
from lossjax.suite.bench import table as bench
from lossjax.suite.cards import card
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.data import DATASETS
from lossjax.suite.report.published import refreshed
from lossjax.suite.reproduce import folder, ledger, page
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.finding import Tag
from lossjax.suite.reproduce.study import Study
from lossjax.suite.shipped import PUBLISHED, clone
from lossjax.suite.store import results


def main(arguments: list[str]) -> int:
    if arguments:
        raise UserError(f"stray argument {arguments[0]!r}: readme takes none")
    path = clone("docs") / "README.md"
    results.publish(path, made(path.read_text(encoding="utf-8")))
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


def _models() -> str:
    """Every argument of every model, with the models that take it."""
    takes: dict[Parameter | Choice, list[str]] = {}
    for model in MODELS.values():
        for parameter in model.parameters:
            takes.setdefault(parameter, []).append(f"`{model.family}`")
    lines = []
    for parameter, models in takes.items():
        if isinstance(parameter, Choice):
            valid = ", ".join(parameter.valid)
            default = parameter.default
        else:
            valid = f"{literal(parameter.low)} to {literal(parameter.high)}"
            default = literal(parameter.default)
        who = "every model" if len(models) == len(MODELS) else ", ".join(models)
        lines.append((f"`{parameter.name}`", who, default, valid, parameter.meaning))
    head = ("argument", "of", "default", "valid", "what it is")
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


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


def _ahead() -> str:
    """What TPU compilers said of the shipped configs: the largest of their programs."""
    proofs = json.loads(PROOFS.read_text(encoding="utf-8"))
    lines = []
    for config, chips in proofs.items():
        for name, facts in chips.items():
            programs = facts["programs"]
            most = {
                key: max(program[key] for program in programs)
                for key in ("memory", "flops", "bytes")
            }
            collectives = {word for one in programs for word in one["collectives"]}
            line = (
                f"`{config}`",
                f"`{name}`",
                len(programs),
                facts["layout"]["replicas"] // facts["layout"]["devices"],
                f"{most['memory'] / 2**20:.1f}",
                f"{most['memory'] / facts['limit']:.2%}",
                f"{most['flops'] / 1e9:.3g}",
                f"{most['bytes'] / 1e6:.3g}",
                ", ".join(sorted(collectives)) or "none",
            )
            lines.append(line)
    head = (
        *("config", "compiled for", "programs", "runs a device", "MiB a device"),
        *("of the limit", "Gflop a step", "MB a step", "collectives"),
    )
    found = {
        " and ".join(f"{k} {v}" for k, v in sorted(facts["versions"].items()))
        for chips in proofs.values()
        for facts in chips.values()
    }
    return (
        f"Compiled with {'; '.join(sorted(found))}.\n\n"
        f"{tabulate(lines, head, tablefmt='pipe', disable_numparse=True)}"
    )


def _study(study: Study) -> str:
    """A study's table, from its published summary."""
    summary = folder.summary_of(study)
    if summary is None:
        raise UserError(f"study {study.name} is not published; README.md shows it")
    return tabulate(
        summary["table"], headers="keys", tablefmt="pipe", disable_numparse=True
    )


def _studies(names: Iterable[str]) -> str:
    """Those studies, each in a line."""
    head = ("study", "question", "minutes on 2 cores", "findings")
    lines = []
    for name in names:
        study, summary = STUDIES[name], folder.summary_of(STUDIES[name])
        minutes, found = "not measured", "no rows yet"
        if summary is not None:
            minutes, found = f"{summary['made']['minutes']:g}", page.counts(summary)
        lines.append((f"`{name}`", study.what, minutes, found))
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


def _published() -> str:
    """Every number that was read in a source, or off its figure, beside ours."""
    head = ("study", "what", "published", "ours", "difference", "verdict")
    lines = []
    for name, study in STUDIES.items():
        summary = folder.summary_of(study)
        for found in summary["findings"] if summary else ():
            published = found.get("published")
            if published is None or published["tag"] not in (Tag.SEEN, Tag.VECTOR):
                continue
            numbers = f"{published['value']:g}", found["ours"]
            difference = folder.signed(found.get("difference"))
            line = (f"`{name}`", found["what"], *numbers, difference, found["verdict"])
            lines.append(line)
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


def _pairing() -> str:
    """Claim S3 in two sentences, from the published rows of the loss surgery."""
    summary = folder.summary_of(STUDIES["surgery"])
    if summary is None:
        raise UserError("study surgery is not published; README.md shows it")
    answer = STUDIES["surgery"].answer
    assert answer is not None
    return answer(summary["counts"])


PROOFS = PUBLISHED / "bench" / "ahead.json"  # of launch --check --to
VALIDATION = ("aa", "planted_noise", "planted_variance")
TABLES: Mapping[str, Callable[[], str]] = {
    "losses": card.markdown,
    "datasets": _datasets,
    "models": _models,
    "soak": _soak,
    "bench": _bench,
    "ahead": _ahead,
    "validation": functools.partial(_studies, VALIDATION),
    "studies": functools.partial(_studies, STUDIES),
    "published": _published,
    "claims": lambda: ledger.table(ledger.settled()),
    "answers": lambda: ledger.answers(ledger.settled()),
    "pairing": _pairing,
    **{
        f"study {name}": functools.partial(_study, STUDIES[name])
        for name in (*VALIDATION, "link_and_start", "vae_pytorch", "matched_scale")
    },
}

if __name__ == "__main__":
    run(main, sys.argv[1:])
