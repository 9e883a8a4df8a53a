"""What was measured: tables and sentences from results/published."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
from tabulate import tabulate

from lossjax.suite.bench import table as bench_table
from lossjax.suite.cli.errors import UserError
from lossjax.suite.launch import accelerators
from lossjax.suite.reproduce import folder, ledger, page
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.claim import Book, Settled
from lossjax.suite.reproduce.finding import Tag
from lossjax.suite.reproduce.study import Study
from lossjax.suite.shipped import PUBLISHED

PROOFS = PUBLISHED / "bench" / "ahead.json"  # of launch --check --to
SHORT_ANSWER = Path(__file__).with_name("bce_or_mse.md")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def soak() -> str:
    rows = _json(PUBLISHED / "soak" / "soak.json")
    table = [
        (
            row["what"],
            row["injected"],
            row["detected"],
            row["lost"],
            f"{row['seconds']:.1f}",
            row["measured"],
            row.get("commit", ""),
        )
        for row in rows
    ]
    head = (
        *("fault", "injected", "detected", "lost", "seconds to recover"),
        *("measured", "commit"),
    )
    return tabulate(table, head, tablefmt="pipe", floatfmt=".1f")


def bench() -> str:
    found = _json(PUBLISHED / "bench" / "bench.json")
    machine = found["hardware"]
    versions = next(iter(found["nets"].values()))["facts"]
    ours, twin = versions["ours"]["versions"], versions["as installed"]["torch"]
    return (
        f"Measured on {machine['processor']}, {machine['system']}, Python "
        f"{machine['python']}, jax {ours['jax']}, PyTorch {twin}.\n\n"
        f"{bench_table.markdown(found)}"
    )


def gpu() -> str:
    """What was seen on real cards, and what follows for 100,000 runs."""
    found = _json(PUBLISHED / "bench" / "gpu.json")
    sweeps, agreement = found["sweeps"], found["agreement"]
    names = {
        "start": "start and self-test",
        "compile": "compilation waited for",
        "train": "training",
        "score": "scoring",
        "diagnose": "diagnostics",
        "store": "storing waited for",
        "report": "report",
        "whole": "process start to end",
    }
    lines = [
        [name, *("cut off" if row[key] is None else row[key] for row in sweeps)]
        for key, name in names.items()
    ]
    head = ("seconds", *(f"{row['card']}, {row['cache']} cache" for row in sweeps))
    last = sweeps[-1]
    steps = [row["step_ms"] for row in sweeps if row["step_ms"]]
    ratios = [step["native"] / step["taps"] for step in steps]
    each = last["train"] / last["runs"] / last["steps"]
    code = ", then ".join(dict.fromkeys(row["code"] for row in sweeps))
    return (
        f"The digits sweep of {last['runs']} runs of {last['steps']:,} steps, on cards "
        f"with {found['cores']} cores beside them; Python {found['python']}, jax "
        f"{found['jax']}, CUDA {found['cuda']}; commit {code}.\n\n"
        f"{tabulate(lines, head, tablefmt='pipe', floatfmt='.2f')}\n\n"
        f"Every loss, its gradient and its read-out, and every image metric "
        f"({agreement['arrays']} arrays) against float64 on a CPU, on an "
        f"{agreement['card']}: at most {agreement['worst']:.1g} of the largest value "
        f"apart. XLA's own convolutions took {min(ratios):.0f} to {max(ratios):.0f} "
        f"times as long a step as products over taps and are no longer tried at this "
        f"width. A step of one run takes {1e6 * each:.1f} us, so that 100,000 runs of "
        f"{last['steps']:,} steps would train in {1e5 * each * last['steps'] / 60:.1f} "
        f"minutes and of 400 steps in {4e7 * each / 60:.1f}: extrapolated from "
        f"{last['runs']}, not measured."
    )


def scale() -> str:
    """What a sweep of 10^6 digits runs costs, by what was measured."""
    found = _json(PUBLISHED / "bench" / "store.json")
    runs, widths = found["runs"], found["packs"]
    times, shards = 1e6 / runs, 32
    card = _json(PUBLISHED / "bench" / "gpu.json")["sweeps"][-1]
    trained = sum(card[part] for part in ("train", "score", "diagnose"))
    minutes = 1e6 / card["runs"] * trained / shards / 60

    def row(what: str, step: str, of: str, part: int = 1) -> Iterable[tuple[str, ...]]:
        for width, one in widths.items():
            seconds, requests = one[step]["seconds"], one[step]["requests"]
            yield (
                f"{what}, packs of {int(width):,}",
                f"{seconds:.3g} s, {requests:,} requests",
                f"{requests / runs:.2g}",
                f"{seconds * times / part / 60:.2g} minutes {of}",
            )

    size = widths[max(widths, key=int)]["bytes"]
    report = found["report"]
    lines = [
        (
            f"training and measuring, {card['steps']:,} steps, {card['card']}",
            f"{trained:.3g} s for {card['runs']} runs",
            "",
            f"{minutes:.2g} minutes in each of {shards} shards",
        ),
        *row("storing", "store", f"in each of {shards} shards", shards),
        *row("resuming", "resume", f"in each of {shards} shards", shards),
        *row("`launch fetch`", "fetch", "in all"),
        *row("the same again", "fetch again", "in all"),
        ("what is stored", f"{size / 1e6:.3g} MB", "", f"{size * times / 1e9:.2g} GB"),
        (
            "the report",
            f"{report['cpu seconds']:.0f} CPU s, {report['bytes'] / 1e6:.0f} MB",
            "",
            f"{report['cpu seconds'] * times / 60:.0f} CPU minutes, "
            f"{report['bytes'] * times / 1e9:.0f} GB",
        ),
    ]
    head = ("what", f"for {runs:,} runs", "requests per run", "for 10^6 runs")
    table = tabulate(lines, head, tablefmt="pipe", disable_numparse=True)
    return f"Measured on {found['machine']}, shared with the server.\n\n{table}"


def ahead() -> str:
    """What compilers said of the shipped configs: the largest of their programs."""
    proofs = _json(PROOFS)
    lines = []
    for config, chips in proofs.items():
        for name, facts in chips.items():
            programs = facts["programs"]
            most = {
                key: max(program[key] for program in programs)
                for key in ("memory", "flops", "bytes")
            }
            collectives = {word for one in programs for word in one["collectives"]}
            starts = max(sum(one["step"].values()) for one in programs)
            line = (
                f"`{config}`",
                f"`{name}`",
                len(programs),
                facts["layout"]["replicas"] // facts["layout"]["devices"],
                f"{most['memory'] / 2**20:.1f}",
                f"{most['memory'] / facts['limit']:.2%}",
                starts if accelerators.gpu(name) else "",
                f"{most['flops'] / 1e9:.3g}",
                f"{most['bytes'] / 1e6:.3g}",
                ", ".join(sorted(collectives)) or "none",
            )
            lines.append(line)
    head = (
        *("config", "compiled for", "programs", "runs per device", "MiB per device"),
        *("of the limit", "launches per step", "Gflop per step", "MB per step"),
        "collectives",
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


def study_table(study: Study) -> str:
    """A study's table, from its published summary."""
    summary = folder.summary_of(study)
    if summary is None:
        raise UserError(f"study {study.name} is not published; docs/ shows it")
    return tabulate(
        summary["table"], headers="keys", tablefmt="pipe", disable_numparse=True
    )


def studies(names: Iterable[str]) -> str:
    """Those studies, each in a line, and the sum of what is stored."""
    head = ("study", "question", "minutes on 2 cores", "findings")
    lines, whole = [], []
    for name in names:
        study, summary = STUDIES[name], folder.summary_of(STUDIES[name])
        minutes, found = "not measured", "no rows yet"
        if summary is not None:
            minutes, found = f"{summary['made']['minutes']:g}", page.counts(summary)
            whole.append(summary)
        link = f"[`{name}`](studies/{name}.md)"
        lines.append((link, study.what, minutes, found))
    together = sum(summary["made"]["minutes"] for summary in whole)
    findings = {"findings": [f for summary in whole for f in summary["findings"]]}
    lines.append(("together", "", f"{together:.0f}", page.counts(findings)))
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


def published() -> str:
    """Every number read in a source, or off its figure, and the reproduced one."""
    head = ("study", "what", "published", "within", "reproduced", "verdict")
    lines = []
    for name, study in STUDIES.items():
        summary = folder.summary_of(study)
        for found in summary["findings"] if summary else ():
            published = found.get("published")
            if published is None or published["tag"] not in (Tag.SEEN, Tag.VECTOR):
                continue
            link = f"[`{name}`](studies/{name}.md)"
            near = f"{published['delta']:.2g}: {published['delta_reason']}"
            line = (link, found["what"], published["printed"], near)
            lines.append((*line, found["ours"], found["words"]))
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


def answer(study: Study) -> str:
    """A study's counts in words, from its published rows."""
    summary = folder.summary_of(study)
    if summary is None:
        raise UserError(f"study {study.name} is not published; docs/ shows it")
    assert study.answer is not None
    return study.answer(summary["counts"])


def questions() -> str:
    """Every question with its verdict, linked to the answer below."""
    lines = [
        (f"[{_capital(e.claim.says)}](#{e.claim.key.lower()})", e.answer.verdict)
        for e in ledger.settled()
    ]
    return tabulate(lines, ("claim or question", "short answer"), tablefmt="pipe")


def answers() -> str:
    """Every question with its answer in full."""
    parts = []
    for entry in ledger.settled():
        claim, answer = entry.claim, entry.answer
        parts.append(f'<a id="{claim.key.lower()}"></a>')
        parts.append(f"## {_capital(claim.says)}")
        parts.append(f"**{_capital(answer.verdict)}.** {answer.words}".strip())
        if entry.answered:
            links = [f"[figure](results/published/{answer.figure})"]
            links += [f"[{name}](studies/{name}.md)" for name in _studies_behind(entry)]
            parts.append(f"Evidence: {', '.join(links)}. Asked: {claim.asked}.")
    return "\n\n".join(parts)


def _studies_behind(entry: Settled) -> list[str]:
    named = dict.fromkeys(number.split(":")[0].split()[0] for number in entry.numbers)
    return [name for name in named if name in STUDIES]


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def protocol() -> str:
    """What a reader must know of how the committed rows were made."""
    text = (
        "The ten losses on digits were compared by the protocol of this version: each "
        "seed chooses its own learning rate, 1,000 training steps."
    )
    summaries = filter(None, map(folder.summary_of, STUDIES.values()))
    if any(s["made"]["runs"] and folder.age(s["made"]) for s in summaries):
        text += " Studies whose rows are older say so on their pages."
    return text


def bce_or_mse() -> str:
    """The short answer, from a template: its numbers are looked up, its words checked.

    Raises:
      UserError: stored rows do not bear out a sentence of it.
    """
    book = Book()

    def holds(fact: bool) -> str:
        if not fact:
            raise UserError(
                f"{SHORT_ANSWER.name}: a sentence no longer holds; write it anew"
            )
        return ""

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    template = environment.from_string(SHORT_ANSWER.read_text(encoding="utf-8"))
    return template.render(
        holds=holds,
        counts=lambda study: book.summary(study)["counts"],
        agree=book.holds,
        number=book.number,
        said=book.said,
        cell=book.cell,
    ).strip()
