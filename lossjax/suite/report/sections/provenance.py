"""Where the numbers come from, and the command that makes them again."""

import collections
import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lossjax.suite.report import markup, recipes
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.markup import Field

TEMPLATE = """
<p>This command trains every run of this page again, in a fresh folder; the two after it
rebuild the page from the stored runs and check every number of it.</p>
{% for line in lines %}{{ line }}{% endfor %}
<p>One run alone, here the first of {{ loss }}; put another loss, rate and seed in their
places and the numbers are those of that line of rows.csv:</p>
{{ one }}
<dl class="facts">
{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}
</dl>
{{ datasets }}
{% for line in mixed %}<p class="note">{{ line }}</p>{% endfor %}
<details><summary>Config in full</summary><pre>{{ config }}</pre></details>
"""


def build(evidence: Evidence, album: Album) -> Markup:
    values = evidence.sweep.to_json()
    facts = [
        (name, _text(value))
        for name, value in evidence.description["provenance"].items()
    ]
    mixed = []
    for name, count in _runs(evidence).items():
        if len(count) == 1:
            if name not in evidence.description["provenance"]:
                facts.append((name, next(iter(count))))
        elif len(count) <= 8:
            parts = "; ".join(f"{value} ({n} runs)" for value, n in count.items())
            mixed.append(f"Runs differ in {name}: {parts}")
    return markup.render(
        TEMPLATE,
        lines=[
            recipes.copied(line)
            for line in (
                recipes.sweep(evidence),
                recipes.report(evidence),
                recipes.verify(evidence),
            )
        ],
        loss=evidence.losses[0],
        one=recipes.copied(_one_run(evidence)),
        facts=facts,
        datasets=_datasets(evidence),
        mixed=mixed,
        config=json.dumps(values, indent=2),
    )


def _one_run(evidence: Evidence) -> str:
    """One run: with a single learning rate there is nothing to choose."""
    group = evidence.groups[0]
    arm = next(iter(group.arms.values()))
    run = arm.chosen[0].run if arm.dial else None
    rate = next(iter(arm.rates), evidence.sweep.learning_rates[0])
    return recipes.sweep(
        evidence,
        **recipes.setting(evidence, group),
        losses=[next(iter(arm.arm.rates)) if run is None else run.loss],
        learning_rates=[rate if run is None else run.learning_rate],
        seeds=[evidence.sweep.seeds[0]],
    )


def _runs(evidence: Evidence) -> dict[str, collections.Counter[str]]:
    """Every provenance field of the runs with how often each value occurs."""
    found: dict[str, collections.Counter[str]] = {}
    for result, _ in evidence.results():
        for name, value in result.provenance.items():
            found.setdefault(name, collections.Counter())[_text(value)] += 1
    return found


def _datasets(evidence: Evidence) -> Markup:
    rows = []
    for name, described in evidence.description["datasets"].items():
        shape = " × ".join(str(side) for side in described["shape"])
        counts = [described.get(split) for split in ("train", "validation", "test")]
        rows.append(
            [
                Field(name, name),
                Field(shape, shape),
                *(Field(f"{n:,}" if n else "–", n or "", "num") for n in counts),
                Field(Markup("<code>{}</code>").format(described["fingerprint"][:16])),
            ]
        )
    heads: list[str | Field] = [
        "dataset",
        "height × width × channels",
        *(Field(split, kind="num") for split in ("train", "validation", "test")),
        "fingerprint",
    ]
    return markup.table("Datasets: images in each split", heads, rows)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
