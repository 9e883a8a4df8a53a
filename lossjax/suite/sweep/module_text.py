"""What the text of a compiled module says of a step of training.

Compilers for GPUs that are not there do not count operations or bytes; their programs
can be read all the same.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

# Operations that start nothing on a device.
_FREE = ("parameter", "get-tuple-element", "tuple", "bitcast", "constant")
_PARTS = ("slice", "dynamic-slice", "gather")  # read of an array what they give
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_COLLECTIVE = re.compile(
    r"\b(all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)"
)
_HEAD = re.compile(r"(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{")
_LINE = re.compile(
    r"\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][a-z0-9\-]*)\(([^)]*)\)(.*)"
)
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+)\w*\[([\d,]*)\]")


@dataclass(frozen=True)
class Operation:
    """One line of a computation; `rest` are its attributes."""

    name: str
    shape: str
    kind: str
    operands: tuple[str, ...]
    rest: str

    @property
    def called(self) -> str:
        """The computation of a fusion."""
        found = re.search(r"calls=%?([\w.\-]+)", self.rest)
        return found[1] if found else ""


class ModuleText:
    """A compiled module, read; its step is the body of the longest loop."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._computations: dict[str, dict[str, Operation]] = {}
        operations: dict[str, Operation] = {}
        for line in text.splitlines():
            if head := _HEAD.match(line):
                operations = self._computations.setdefault(head[1], {})
            elif found := _LINE.match(line):
                name, shape, kind, arguments, rest = found.groups()
                names = re.findall(r"%([\w.\-]+)", arguments)
                if kind == "parameter":
                    names = [arguments]
                operations[name] = Operation(name, shape, kind, tuple(names), rest)
        bodies = re.findall(r"body=%?([\w.\-]+)", text)
        loops = [self._computations.get(name, {}) for name in bodies]
        self._step = max(loops, key=lambda one: len(list(_started(one))), default={})

    @property
    def trips(self) -> list[int]:
        """Of loops whose length is known."""
        return sorted(map(int, _TRIPS.findall(self._text)))

    @property
    def collectives(self) -> list[str]:
        """Kinds of operations in which devices wait for each other."""
        return sorted(set(_COLLECTIVE.findall(self._text)))

    @property
    def step(self) -> dict[str, int]:
        """What a step starts on the device, by kind or by the library's own name."""
        kinds = Counter[str]()
        for one in _started(self._step):
            target = re.search(r'custom_call_target="([^"]+)"', one.rest)
            kinds[target[1] if target else one.kind] += 1
        return dict(sorted(kinds.items()))

    @property
    def step_bytes(self) -> int:
        """What the operations of a step write, and read of their operands."""
        total = 0.0
        for one in _started(self._step):
            total += _bytes(one.shape)
            for index, operand in enumerate(one.operands):
                if operand in self._step:
                    whole = _bytes(self._step[operand].shape)
                    total += min(whole, self._read(one.called, index))
        return int(total)

    @property
    def step_flops(self) -> int:
        """Of the matrix products of a step, which are nearly all of them."""
        total = 0
        for one in _started(self._step):
            inside = self._computations.get(one.called, {one.name: one} | self._step)
            parts = inside.values() if one.called else [one]
            for dot in (part for part in parts if part.kind == "dot"):
                sides = _sides(inside[dot.operands[0]].shape)
                along = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", dot.rest)
                axes = map(int, filter(None, (along[1] if along else "").split(",")))
                total += (
                    2
                    * math.prod(_sides(dot.shape))
                    * math.prod(sides[axis] for axis in axes)
                )
        return total

    def _read(self, computation: str, index: int) -> float:
        """Bytes that a fusion reads of an operand, of which it may take only parts."""
        inside = self._computations.get(computation, {})
        for one in inside.values():
            if one.kind == "parameter" and one.operands == (str(index),):
                users = [user for user in inside.values() if one.name in user.operands]
                if users and all(user.kind in _PARTS for user in users):
                    return sum(_bytes(user.shape) for user in users)
        return math.inf


def _started(operations: dict[str, Operation]) -> Iterator[Operation]:
    return (one for one in operations.values() if one.kind not in _FREE)


def _sides(shape: str) -> list[int]:
    found = _ARRAY.search(shape)
    return [int(side) for side in found[2].split(",") if side] if found else []


def _bytes(shape: str) -> int:
    """Of an array, or of all arrays of a tuple."""
    total = 0
    for kind, sides in _ARRAY.findall(shape):
        bits = 8 if kind == "pred" else int(re.sub(r"\D", "", kind))
        count = math.prod(int(side) for side in sides.split(",") if side)
        total += -(-bits * count // 8)
    return total
