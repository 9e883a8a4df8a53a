"""Loss cards: what a row says of itself, its certificates, its curve; text and HTML."""

import dataclasses
import functools
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax import LOSSES, Loss, resolve
from lossjax.certificates.certify import FAILS, HOLDS, IDLE, Certificate, certify
from lossjax.losses.links import sigmoid
from lossjax.own_code import place_of
from lossjax.suite.report import markup, style
from lossjax.suite.report.album import unstyled

MARKS = {HOLDS: "ok", FAILS: "FAILS", IDLE: "-"}
TARGETS = (0.0, 0.25, 0.5, 1.0)
_BESIDE = ("bce", "mse")
_STYLES = (("#0b62a8", "-"), ("#d1495b", "--"), ("#444444", ":"))
_TEMPLATE = Path(__file__).with_name("cards.html")


@dataclasses.dataclass(frozen=True)
class Card:
    """Everything a card shows."""

    loss: Loss
    certificates: tuple[Certificate, ...]

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What the row states, label and text."""
        loss = self.loss
        link = "the mean of the law" if loss.channels > 2 else _read_out(loss)
        if place_of(loss.family) is not None and loss.link is not sigmoid:
            link = "a function of your own"
        facts = [
            ("formula", loss.formula),
            ("unit", loss.unit),
            ("output image", link),
            ("raw output", f"{loss.channels} x C channels"),
            ("estimates", loss.claims.elicits),
            ("domain", loss.claims.domain),
            ("use", loss.claims.use),
            ("source", loss.source),
        ]
        facts[3:3] = [
            (p.name, f"{p.meaning}; {p.low:g} to {p.high:g}, default {p.default:g}")
            for p in loss.parameters
        ]
        for name in loss.scalars:
            facts.insert(3, (name, "trained with the network"))
        if not loss.per_image:
            facts.insert(3, ("batch", "an image's score depends on its batch"))
        if loss.own_gradient:
            facts.insert(3, ("gradient", "made, and not that of the value"))
        if not loss.tile_invariant:
            facts.insert(3, ("size", "an image and its tiling score differently"))
        return tuple((label, words) for label, words in facts if words)


def _read_out(loss: Loss) -> str:
    """Names the link by what it does to a few raw values."""
    raw = np.zeros((5, 1, 1, loss.channels), np.float32)
    raw[:, 0, 0, 0] = (-4, -1, 0.25, 1, 4)
    image = np.ravel(loss.read_out(jnp.asarray(raw)))
    known = {
        "sigmoid of the first block" if loss.channels > 1 else "sigmoid": "bce",
        "clipped to [0, 1]": "mse_linear",
    }
    for words, row in known.items():
        same = LOSSES[row].read_out(jnp.asarray(raw[..., :1]))
        if np.allclose(image, np.ravel(same), atol=1e-6):
            return words
    return "the mean of the law"


def card(name: str) -> Card:
    """The card of one loss; compiles it to check its claims."""
    loss = resolve(name)
    return Card(loss, certify(loss))


def sheet(name: str, facts: Iterable[tuple[str, str]], width: int = 88) -> list[str]:
    """Lines of a card: a title, and facts as label and text."""
    lines = [name, "=" * len(name), ""]
    for label, words in facts:
        first, *rest = textwrap.wrap(words, width - 18) or [""]
        lines.append(f"{label:<18}{first}")
        lines.extend(f"{'':<18}{line}" for line in rest)
    return lines


def text(one: Card, width: int = 88) -> str:
    """The card as plain text."""
    lines = sheet(one.loss.name, one.facts, width)
    lines += ["", "Certificates, measured on the compiled function:"]
    for c in one.certificates:
        head = f"  {MARKS[c.verdict]:<6}{c.name}"
        body = ": ".join(part for part in (c.claim, c.found) if part)
        wrapped = textwrap.wrap(body, width - 8) or [""]
        lines.append(head)
        lines.extend(f"        {line}" for line in wrapped)
    return "\n".join(lines)


def curve(loss: Loss) -> str:
    """SVG of value and gradient against z, bce and mse beside; "" without one z."""
    if loss.channels > 2:
        return ""
    shown = [loss, *(LOSSES[name] for name in _BESIDE if name != loss.family)]
    z = np.linspace(-8, 8, 161)
    if loss.link is LOSSES["mse_linear"].link:
        z = np.linspace(-1, 2, 161)
    with style.applied(
        {"svg.hashsalt": "lossjax", "svg.fonttype": "none", "font.size": 9}
    ):
        figure = Figure(figsize=(8.6, 4.2), layout="constrained")
        axes = figure.subplots(2, len(TARGETS), sharex=True)
        for column, y in enumerate(TARGETS):
            for order, each in enumerate(shown):
                value, gradient = _along(each, z, y)
                color, dash = _STYLES[order]
                axes[0, column].plot(z, value, dash, color=color, label=each.name)
                axes[1, column].plot(z, gradient, dash, color=color)
            axes[0, column].set_title(f"y = {y:g}")
            axes[1, column].set_xlabel("z")
        axes[0, 0].set_ylabel("value")
        axes[1, 0].set_ylabel("dL/dz")
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3
        )
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = unstyled(buffer.getvalue())
    # One page holds many figures: ids must not meet.
    tag = re.sub(r"\W", "", loss.name)
    svg = re.sub(r'id="', f'id="{tag}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{tag}-", svg)
    return svg[svg.index("<svg") :]


@functools.cache
def _compiled(loss: Loss) -> Callable[..., tuple[jax.Array, jax.Array]]:
    def one(z: jax.Array, y: jax.Array) -> jax.Array:
        side = loss.smallest
        raw = jnp.zeros((1, side, side, loss.channels)).at[..., 0].set(z)
        return loss.fn(raw, jnp.full((1, side, side, 1), y))[0]

    return jax.jit(jax.vmap(jax.value_and_grad(one)))


def _along(loss: Loss, z: np.ndarray, y: float) -> tuple[np.ndarray, np.ndarray]:
    value, gradient = _compiled(loss)(jnp.asarray(z), jnp.full(z.shape, y))
    return np.asarray(value), np.asarray(gradient)


def table() -> Iterator[tuple[str, str, str, str]]:
    """Name, what it estimates, unit and formula of every row, in display order."""
    for loss in LOSSES.values():
        defaults = ", ".join(f"{p.name}={p.default:g}" for p in loss.parameters)
        name = f"{loss.family}({defaults})" if defaults else loss.family
        yield name, loss.elicits, loss.unit, loss.formula


def markdown() -> str:
    """The table as Markdown."""
    lines = ["| loss | estimates | unit | formula |", "|---|---|---|---|"]
    for name, elicits, unit, formula in table():
        shown = formula.replace("|", "\\|")
        lines.append(f"| `{name}` | {elicits} | {unit} | `{shown}` |")
    return "\n".join(lines)


def page(names: Sequence[str], tell: Callable[[str], None]) -> tuple[list[Card], str]:
    """Cards, and one self-contained HTML page of them."""
    made = []
    for name in names:
        tell(name)
        made.append(card(name))
    items = [{"card": one, "curve": curve(one.loss)} for one in made]
    css = _TEMPLATE.with_suffix(".css").read_text()
    template = Environment(autoescape=True).from_string(_TEMPLATE.read_text())
    return made, template.render(
        cards=items, marks=MARKS, css=Markup(css), policy=markup.policy(css)
    ) + "\n"
