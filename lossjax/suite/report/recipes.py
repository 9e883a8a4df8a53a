"""The command behind a number: one line, true for this sweep and its directory."""

import shlex
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from lossjax import syntax
from lossjax.suite.config import FILLED
from lossjax.suite.report import markup
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.shipped import COMMAND


def report(evidence: Evidence) -> str:
    """Makes the report again from the stored runs."""
    return _line("report", [f"--out={evidence.out}"])


def verify(evidence: Evidence) -> str:
    """Recomputes every number of the report from the stored runs."""
    return _line("verify", [f"--out={evidence.out}"])


def sweep(evidence: Evidence, **narrowed: Sequence[Any]) -> str:
    """Trains the sweep again, or a part of it: `narrowed` gives other axes.

    Every field is spelled out, so that it does not matter what a config file says by
    then. It writes beside the directory: where runs are stored nothing is trained, and
    a part would put its smaller grid in the place of the whole.
    """
    words = [f"--out={evidence.out}-again"]
    backend = evidence.description["provenance"].get("backend")
    if backend:
        words.append(f"--platform={backend}")
    for name, value in (evidence.sweep.to_json() | narrowed).items():
        if value is not None and name not in FILLED:
            words.append(f"--config.{name}={_text(value)}")
    return _line("sweep", words)


def setting(evidence: Evidence, group: Group) -> dict[str, list[Any]]:
    """The axes of a sweep narrowed to one group."""
    dataset, model, latent_dim, train_steps = group.setting
    axes: dict[str, list[Any]] = {"datasets": [dataset], "models": [model]}
    if evidence.sweep.latent_dims:
        axes["latent_dims"] = [latent_dim]
    if evidence.sweep.budgets:
        axes["budgets"] = [train_steps]
    return axes


TEMPLATE = """
<details class="again"><summary>Commands behind these numbers</summary>
<p>From the stored runs; the second recomputes every number and compares:</p>
{{ copied(report) }}
{{ copied(verify) }}
<p>From nothing, in a fresh folder beside this one:</p>
{% for name, line in trained %}
{% if trained | length > 1 %}<p class="of">{{ name }}</p>{% endif %}
{{ copied(line) }}
{% endfor %}
</details>
"""


def block(evidence: Evidence) -> Markup:
    """The commands behind a section's numbers, one for each group."""
    trained = [
        (group.name, sweep(evidence, **setting(evidence, group)))
        for group in evidence.groups
    ]
    return markup.render(
        TEMPLATE,
        copied=copied,
        report=report(evidence),
        verify=verify(evidence),
        trained=trained,
    )


def copied(line: str) -> Markup:
    """A line with a button that copies it."""
    return Markup(
        '<div class="copy"><pre tabindex="0">{}</pre>'
        '<button type="button">copy</button></div>'
    ).format(line)


def _line(verb: str, words: list[str]) -> str:
    return shlex.join([COMMAND, verb, *words])


def _text(value: Any) -> str:
    """A field as the command line reads it."""
    if not isinstance(value, list | tuple):
        return str(value)
    text = ",".join(str(item) for item in value)
    plain = syntax.items(text) == tuple(value) and not (
        len(value) == 1 and isinstance(value[0], int | float)
    )
    return text if plain else repr(tuple(value))
