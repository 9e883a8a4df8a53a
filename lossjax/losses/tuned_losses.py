"""A loss with a dial, `huber(delta=tune(0.03, 0.1, 0.3))`: several losses as one arm.

No loss itself: every value is trained as the ordinary loss that it is, and a sweep
chooses among them; see lossjax.suite.protocol.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from lossjax.losses import resolve
from lossjax.losses.checks import literal
from lossjax.own_code import place_of
from lossjax.syntax import MIX, TUNE, Call, read_call, shortened


class TunedLoss(NamedTuple):
    """What a sweep compares as one loss."""

    name: str  # canonical
    losses: tuple[str, ...]  # names of what is trained, by rising value of the dial


def tuned_loss(text: str) -> TunedLoss:
    """What `text` names in a sweep; a loss without a dial is one loss.

    Raises:
      ValueError: as `resolve`; also two dials, or a dial without a choice.

    >>> tuned_loss("huber(delta=tune(0.3, 0.1))")
    TunedLoss(name='huber(delta=tune(0.1, 0.3))', losses=('huber', 'huber(delta=0.3)'))
    """
    place = place_of(text)
    call = read_call(text if place is None else place.call, "loss", (MIX,))
    dials = {name: v.dial for name, v in call.values.items() if v.dial is not None}
    if not dials:
        name = resolve(text).name
        return TunedLoss(name, (name,))
    shown = shortened(text)
    if len(dials) > 1:
        raise ValueError(
            f"loss {shown!r}: has {len(dials)} dials, {' and '.join(dials)}: tune one "
            "argument, and name one value of the others"
        )
    ((argument, given),) = dials.items()
    head = "" if place is None else f"{place.file}:"
    losses = [resolve(head + _written(call, argument, v.text)) for v in given]
    values = {float(loss.hyper[argument]): loss for loss in losses}
    if len(losses) < 2:
        raise ValueError(
            f"loss {shown!r}: {argument}={TUNE}(...) has {len(losses) or 'no'} value"
            f"{'' if losses else 's'}; a dial has two or more, {TUNE}(0.1, 0.3)"
        )
    if len(values) < len(losses):
        numbers = Counter(literal(float(loss.hyper[argument])) for loss in losses)
        twice = next(number for number, count in numbers.items() if count > 1)
        raise ValueError(
            f"loss {shown!r}: {argument}={TUNE}(...) names {twice} twice; every value "
            "is named once"
        )
    dial = f"{TUNE}({', '.join(map(literal, sorted(values)))})"
    name = losses[0].named({argument: dial})
    return TunedLoss(name, tuple(values[value].name for value in sorted(values)))


def _written(call: Call, argument: str, value: str) -> str:
    """The call with one value in the place of the dial."""
    words = {name: each.text for name, each in call.values.items()} | {argument: value}
    cuts = f"[{'+'.join(call.cuts)}]" if call.cuts else ""
    shown = [*call.parts, *(f"{name}={word}" for name, word in words.items())]
    return f"{call.name}{cuts}({', '.join(shown)})"
