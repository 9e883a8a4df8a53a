"""Names of losses with arguments, `huber(delta=0.05)`, and their canonical form.

`mse[straight_through]` is a row whose gradient is cut; see
lossjax.losses.gradient_cuts. `mix(mae, ssim, weight=0.5)` is a weighted sum; see
lossjax.losses.mixtures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lossjax.losses.checks import Choice, Parameter
from lossjax.losses.gradient_cuts import CUTS, operated
from lossjax.losses.loss import Loss
from lossjax.losses.mixtures import mixed
from lossjax.losses.own_losses import own_row
from lossjax.own_code import Place, place_of
from lossjax.syntax import MIX, Call, Value, form, nearest, read_call, shortened


def parse(text: str, table: Mapping[str, Loss]) -> Loss:
    """The row of `table` that `name` or `name(keyword=number, ...)` names.

    A name may have cuts behind it, `name[cut+cut]`; `FILE.py:name` is a function of the
    user's, see lossjax.losses.own_losses.

    Raises:
      ValueError: one line that names what is wrong and what is valid.
    """
    if (place := place_of(text)) is not None:
        return _own(text, place)
    if text.strip().startswith(f"{MIX}(") and ".py:" in text:
        raise ValueError(
            f"loss {shortened(text)!r}: a loss of your own cannot be mixed; write the "
            "sum in its file"
        )
    call = read_call(text, "loss", (MIX,))
    if call.name == MIX:
        return _mix(text, call, table)
    takes = {row.family: row.parameters for row in table.values()}
    values = _checked(text, call, "loss", takes)
    shown = shortened(text)
    for cut in call.cuts:
        if cut not in CUTS:
            raise ValueError(
                f"loss {shown!r} has no cut {cut!r}: {_near(cut, CUTS)}"
                f"valid: {', '.join(CUTS)}"
            )
    if len(set(call.cuts)) < len(call.cuts):
        raise ValueError(f"loss {shown!r}: a cut is named twice")
    row = table[call.name]
    row = operated(row, call.cuts) if call.cuts else row
    hyper = dict(row.hyper) | values
    return row if hyper == row.hyper else dataclasses.replace(row, hyper=hyper)


def _mix(text: str, call: Call, table: Mapping[str, Loss]) -> Loss:
    """`mix(LOSS, LOSS, weight=number)`: a weighted sum of two rows."""
    shown = shortened(text)
    if len(call.parts) != 2:
        raise ValueError(
            f"loss {shown!r}: mixes {len(call.parts)}; a mix is of two losses, "
            f"{MIX}(mae, ssim, weight=0.5)"
        )
    for part in call.parts:
        inner = read_call(part, "loss", (MIX,))
        if inner.name == MIX or inner.cuts:
            what = "a mix" if inner.name == MIX else "a loss whose gradient is cut"
            raise ValueError(
                f"loss {shown!r}: {what} cannot be mixed; a mix is of two losses of "
                "the table"
            )
        if any(value.dial is not None for value in inner.values.values()):
            raise ValueError(
                f"loss {shown!r}: the dial of a mix is its weight; name one value of "
                f"every argument in {shortened(part)}"
            )
    first, second = (parse(parse(part, table).name, table) for part in call.parts)
    row = mixed(first, second)
    values = _checked(text, call, "loss", {MIX: row.parameters})
    return dataclasses.replace(row, hyper={**row.hyper, **values}) if values else row


def _own(text: str, place: Place) -> Loss:
    call = read_call(place.call, "loss")
    if call.cuts:
        raise ValueError(f"loss {shortened(text)!r}: a loss of your own has no cuts")
    row = own_row(place.file, call.name)
    call = call._replace(name=row.family)
    values = _checked(text, call, "loss", {row.family: row.parameters})
    return dataclasses.replace(row, hyper={**row.hyper, **values}) if values else row


def read(
    text: str, kind: str, table: Mapping[str, Sequence[Parameter | Choice]]
) -> tuple[str, dict[str, Any]]:
    """Name and checked arguments of a call expression.

    Args:
      text: `name` or `name(keyword=value, ...)`, each value a number or a string.
      kind: what is named, for messages; "loss" or "model".
      table: what each valid name takes.

    Raises:
      ValueError: one line that names what is wrong and what is valid.
    """
    call = read_call(text, kind)
    if call.cuts:
        raise ValueError(f"cannot read {kind} {shortened(text)!r}: {form(kind)}")
    return call.name, _checked(text, call, kind, table)


def _checked(
    text: str,
    call: Call,
    kind: str,
    table: Mapping[str, Sequence[Parameter | Choice]],
) -> dict[str, Any]:
    """The values of a call, each checked by the parameter that it is for."""
    name, shown = call.name, shortened(text)
    if name not in table:
        raise ValueError(
            f"unknown {kind} {shown!r}: {_near(name, table)}valid: {', '.join(table)}"
        )
    parameters = {p.name: p for p in table[name]}
    values: dict[str, Any] = {}
    for keyword, value in call.values.items():
        if keyword not in parameters:
            takes = ", ".join(parameters) if parameters else "no arguments"
            raise ValueError(
                f"{name} has no argument {keyword!r}: {_near(keyword, parameters)}"
                f"it takes {takes}"
            )
        parameter = parameters[keyword]
        if isinstance(parameter, Choice):
            word = value.literal if isinstance(value.literal, str) else value.text
            values[keyword] = parameter.check(name, word)
        elif (number := _number(value)) is not None:
            values[keyword] = parameter.check(name, number)
        elif value.dial is not None:
            raise ValueError(
                f"{kind} {shown!r}: only the losses of a sweep take "
                f"{shortened(value.text)}; name one value of {keyword}"
            )
        else:
            raise ValueError(
                f"{kind} {shown!r}: {keyword}={shortened(value.text)} is not a finite "
                "number"
            )
    return values


def _near(name: str, valid: Iterable[str]) -> str:
    near = nearest(name, valid)
    return f"did you mean {near}? " if near else ""


def _number(value: Value) -> float | None:
    number = value.literal
    if type(number) is float:
        return number
    # Longer whole numbers need not fit a float.
    return float(number) if type(number) is int and abs(number) < 10**18 else None
