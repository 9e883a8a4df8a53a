"""Negative losses, NaN, tanh outputs: what breaks BCE in practice?

"My loss is negative", "my loss is NaN", "my images are in [-1, 1] and my network ends
in tanh": each is either an error or not, and of the loss, its code or its user.

Source: Lasagne/Recipes issue 54 (down to -5.3e6), keras issues 2841 (-10 to -49), 377
and 4744 (NaN; a clip that hid a missing sigmoid for days), and the questions about tanh
outputs. The limits of float32 to meet follow from its 24 bits.

Links:
https://github.com/Lasagne/Recipes/issues/54
https://github.com/keras-team/keras/issues/2841
https://github.com/keras-team/keras/issues/377
https://github.com/keras-team/keras/issues/4744

Protocol: the library's `bce`, compiled. Targets out of [0, 1] in float64. The
probability form, sigmoid first and logarithm then, in float32, as it is and behind
Keras' clip at 1e-7, beside the logit form. For tanh the matching loss log cosh z - y z
of a target in [-1, 1] against `bce` of (y + 1) / 2 at twice the logit.

Deviations: none; nothing is trained.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report import style
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    agrees,
    compared,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task

BITS = "24 bits of a float32"
TARGETS = (-1.0, 0.0, 0.5, 1.0, 1.2)
EDGE = 1e-7  # where Keras clips
FORMS = {
    "logits": "logit form (bce)",
    "clipped": "sigmoid, clip at 1e-7, log",
    "plain": "sigmoid, then log",
}


def outside(task: Task) -> pd.DataFrame:
    """The loss against z for targets in and out of [0, 1]."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    y, z = (
        each.ravel()
        for each in np.meshgrid(TARGETS, np.linspace(-40, 40, 161), indexing="ij")
    )
    with jax.enable_x64(True):
        value, gradient, _ = Probe(LOSSES["bce"])(z, y)
    return pd.DataFrame({"y": y, "z": z, "value": value, "gradient": gradient})


def saturated(task: Task) -> pd.DataFrame:
    """Value and gradient in float32 where the answer is wrong: y = 0, z large."""
    import jax
    import jax.numpy as jnp

    from lossjax import LOSSES

    bce = LOSSES["bce"].fn

    def logits(z: jax.Array) -> jax.Array:
        return bce(z.reshape(1, 1, 1, 1), jnp.zeros((1, 1, 1, 1)))[0]

    def clipped(z: jax.Array) -> jax.Array:
        return -jnp.log(1 - jnp.clip(jax.nn.sigmoid(z), EDGE, 1 - EDGE))

    def plain(z: jax.Array) -> jax.Array:
        return -jnp.log(1 - jax.nn.sigmoid(z))

    z = jnp.round(jnp.linspace(0, 40, 4001), 2)
    lines = []
    for name, form in (("logits", logits), ("clipped", clipped), ("plain", plain)):
        value, gradient = jax.jit(jax.vmap(jax.value_and_grad(form)))(z)
        lines.append(
            pd.DataFrame(
                {
                    "form": name,
                    "z": np.asarray(z, float).round(2),
                    "value": np.asarray(value, float),
                    "gradient": np.asarray(gradient, float),
                }
            )
        )
    return pd.concat(lines)


def low_side(task: Task) -> pd.DataFrame:
    """The most that the clipped form can say on either side, float32."""
    import jax.numpy as jnp

    edges = jnp.float32(EDGE), jnp.float32(1 - EDGE)
    return pd.DataFrame(
        {
            "side": ["y = 1, p = 0", "y = 0, p = 1"],
            "cap": [float(-jnp.log(edges[0])), float(-jnp.log(1 - edges[1]))],
        }
    )


def tanh(task: Task) -> pd.DataFrame:
    """The matching loss of tanh, and bce of the same pixel."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    y, z = (
        each.ravel()
        for each in np.meshgrid(
            np.linspace(-1, 1, 21), np.linspace(-15, 15, 61), indexing="ij"
        )
    )
    with jax.enable_x64(True):
        bce = Probe(LOSSES["bce"])(2 * z, (y + 1) / 2)[0]
    own = np.logaddexp(z, -z) - math.log(2) - y * z
    return pd.DataFrame({"y": y, "z": z, "matching": own, "bce": bce})


STEPS = {
    "outside": outside,
    "saturated": saturated,
    "low_side": low_side,
    "tanh": tanh,
}


def conclude(record: Record) -> Conclusion:
    """Where it is unbounded, where it is stuck, and what fits a tanh."""
    table = record.tables["outside"]
    far = table.set_index(["y", "z"])
    wrong = record.tables["saturated"].set_index("form")
    cap = record.tables["low_side"].set_index("side")["cap"]
    same = record.tables["tanh"]
    apart = float((same["bce"] - same["matching"] - math.log(2)).abs().max())
    inside = table[(table["y"] >= 0) & (table["y"] <= 1)]["value"]
    plain, clipped, logits = (wrong.loc[f] for f in ("plain", "clipped", "logits"))
    first = float(plain["z"][~np.isfinite(plain["value"])].min())
    stuck = float(clipped["z"][clipped["gradient"] == 0].min())
    exact = float((logits["value"] - np.logaddexp(0, logits["z"])).abs().max())
    findings = [
        Finding(
            "targets in [0, 1]: least value seen",
            "not below 0",
            f"{inside.min():.1e}",
            bool(inside.min() >= 0),
            key="never_negative",
        ),
        Finding(
            "a target of 1.2: slope where z is large",
            "-0.2 a unit, without end",
            f"{far.loc[(1.2, 40.0), 'gradient']:.3f}",
            abs(far.loc[(1.2, 40.0), "gradient"] + 0.2) < 1e-6,
            key="slope_above_white",
        ),
        compared(
            "a target of 1.2: loss at z = 40, nats",
            Published("-8.000", "(1 - y) z", Tag.COMPUTED),
            far.loc[(1.2, 40.0), "value"],
        ),
        compared(
            "a target of -1: loss at z = -40, nats",
            Published("-40.00", "-y z", Tag.COMPUTED),
            far.loc[(-1.0, -40.0), "value"],
            key="unbounded",
        ),
        compared(
            "sigmoid first: the logit from which the loss is infinite, float32",
            Published("16.64", BITS, Tag.COMPUTED),
            first,
            digits=4,
            key="infinite_from",
        ),
        compared(
            "clip at 1e-7: the most that the loss can say, y = 1",
            Published("16.118", BITS, Tag.COMPUTED),
            cap["y = 1, p = 0"],
            digits=5,
        ),
        compared(
            "clip at 1e-7: the most that the loss can say, y = 0",
            Published("15.942", BITS, Tag.COMPUTED),
            cap["y = 0, p = 1"],
            digits=5,
            key="clipped_at",
        ),
        measured(
            "clip at 1e-7: logit from which the gradient is 0",
            stuck,
            digits=4,
            key="stuck_from",
        ),
        agrees("logit form at logits to 40, float32, against float64", exact, 1e-5),
        agrees(
            "log cosh z - y z is bce of (y + 1)/2 at 2z, less log 2",
            apart,
            1e-9,
            key="tanh_is_bce",
        ),
    ]
    lines = []
    for z in (5.0, 15.0, 16.0, 17.0, 30.0):
        line = {"logit z (target 0)": f"{z:g}"}
        for form, words in FORMS.items():
            at = wrong.loc[form].set_index("z").loc[z]
            line[words] = f"{at['value']:.3f}, gradient {at['gradient']:.3f}"
        lines.append(line)
    counts = {"infinite_from": first, "stuck_from": stuck}
    return Conclusion(
        findings, pd.DataFrame(lines, dtype=object), [_draw(record)], counts
    )


def _draw(record: Record) -> Drawing:
    """Left: targets out of range; right: forms on the wrong side."""
    figure = Figure(figsize=(7.2, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    table = record.tables["outside"]
    marks = style.marks(tuple(f"{y:g}" for y in TARGETS))
    for y, (label, mark) in zip(TARGETS, marks.items(), strict=True):
        line = table[table["y"] == y]
        dash = "-" if 0 <= y <= 1 else "--"
        left.plot(
            line["z"], line["value"], dash, color=mark.colour, label=f"y = {label}"
        )
    left.set_ylim(-45, 45)
    left.set_xlabel("z")
    left.set_ylabel("BCE (nats)")
    left.set_title("targets in and out of [0, 1]")
    left.legend(ncols=2, loc="lower center", fontsize=7.5)
    wrong = record.tables["saturated"]
    for form, mark in style.marks(tuple(FORMS)).items():
        line = wrong[wrong["form"] == form]
        fine = line[np.isfinite(line["value"])]
        right.plot(
            fine["z"],
            fine["value"],
            color=mark.colour,
            marker=mark.marker,
            markevery=(150 * mark.index, 600),
            ms=5,
            label=FORMS[form],
        )
    right.set_xlabel("z, target 0")
    right.set_ylabel("BCE (nats)")
    right.set_title("float32, a wrong answer")
    right.legend(loc="upper left", fontsize=7.5)
    return Drawing(
        figure,
        "Left: BCE against the logit; for targets of -1 and 1.2 it falls without end. "
        "Right: for a wrong answer in float32 the logit form rises with z, the clipped "
        "probability form is flat from about 16 on, the plain one ends there.",
    )


STUDY = Study(
    conclude,
    steps=STEPS,
)
