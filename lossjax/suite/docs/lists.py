"""What there is: losses, metrics, models, datasets, configs, public names."""

import ast
import re
import types
from collections.abc import Mapping

from tabulate import tabulate

import lossjax
from lossjax import LOSSES
from lossjax.losses.checks import Choice, Parameter, literal
from lossjax.metrics.images import CODE_METRICS, METRICS, CodeMetric, Metric
from lossjax.models.autoencoders import MODELS
from lossjax.suite.cards import card
from lossjax.suite.data import DATASETS
from lossjax.suite.shipped import CONFIGS
from lossjax.suite.shortlist import PURPOSES


def datasets() -> str:
    rows = [
        (f"`{source.usage}`", source.shape, source.sizes, source.description)
        for source in DATASETS.values()
    ]
    head = ("name", "shape", "train / validation / test", "what it is")
    return tabulate(rows, head, tablefmt="pipe")


def purposes() -> str:
    """What the advisor compares for each purpose, in its order of preference."""
    rows = [
        (
            f"`{name}`",
            one.meaning,
            f"`{one.metric}`",
            ", ".join(f"`{loss}`" for loss in one.losses) + ", a `power(g)`" * one.dial,
            f"`{one.safe[0]}`",
        )
        for name, one in PURPOSES.items()
    ]
    head = ("purpose", "what matters", "judged by", "compared", "safe")
    return tabulate(rows, head, tablefmt="pipe")


def models() -> str:
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


def metrics() -> str:
    """Every metric of images and of codes."""
    lines = []
    every: dict[str, Metric | CodeMetric] = {**METRICS, **CODE_METRICS}
    for name, metric in every.items():
        margin = metric.margin
        size = f"{margin.value:.4g}" if not margin.relative else f"{margin.value:.2%}"
        note = getattr(metric, "note", "")
        lines.append((f"`{name}`", metric.direction, metric.unit, size, note))
    head = ("metric", "better", "unit", "margin", "note")
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


def cards() -> str:
    """Every loss with what its row states; certificates take long and are not here."""
    parts = []
    for name, loss in LOSSES.items():
        parts.append(f"### `{name}`")
        facts = card.Card(loss, ()).facts
        parts.append("\n".join(f"- {label}: {_safe(label, w)}" for label, w in facts))
    return "\n\n".join(parts)


def _safe(label: str, words: str) -> str:
    return f"`{words}`" if label == "formula" else words.replace("*", "\\*")


def configs() -> str:
    """Every shipped config: its question, and how long it takes."""
    lines = []
    for file in sorted(CONFIGS.glob("*.py")):
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        time = re.search(r"Device and time: (.+?)\.?$", text, re.MULTILINE)
        lines.append(
            (f"`{file.stem}`", text.split("\n")[0], time[1] if time else "not measured")
        )
    return tabulate(lines, ("config", "question", "device and time"), tablefmt="pipe")


def api() -> str:
    """Every public name, for mkdocstrings to fill in."""
    parts = []
    for name in dir(lossjax):
        value = getattr(lossjax, name)
        parts.append(f"## {name}")
        if isinstance(value, Mapping):
            kind = type(next(iter(value.values()))).__name__
            parts.append(
                f"Read-only mapping of {len(value)} names, each to a `{kind}`."
            )
        elif isinstance(value, types.ModuleType):
            parts.append(f"::: {value.__name__}")
        elif callable(value):
            parts.append(f"::: {value.__module__}.{value.__qualname__}")
        else:
            parts.append("Raised whenever a change moves a number that a sweep stores.")
    return "\n\n".join(parts)
