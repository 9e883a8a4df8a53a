"""How bytes, JSON values, texts and files are spoiled, for every kind of `fuzz`."""

import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WILD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, 1e308, 1e999,
    float("nan"), "", "x", "0", "\0", "../../..", "/dev/zero", "~nouser", "\ud800",
    "x" * 5_000, [], {}, [[]], [None], {"": None}, [[[[[[[[]]]]]]]], {"a": {"a": {}}},
)  # fmt: skip
_TEXTS = (
    "\0", "\n", "\r", "\x1b[31m", "\x1b]8;;x\x07", "\u202e", "\ufeff", "\udcff", "ß",
    "字", "'", '"', "\\", "/", "//", "..", "~", "~nouser", "$(id)", "%s", "%", "{}",
    "[", "]", "[/b]", "(", ")", "((", "=", ",", ":", ";", "*", "**", " ", "\t", "-",
    "--", "#", "<b>", "$\\frac$", "=HYPERLINK(1)", "1e999", "nan", "-0", "0x",
    "9" * 50, "a" * 300, "é" * 200, "x/" * 3_000,
)  # fmt: skip


def text(generator: random.Random, words: Sequence[str]) -> str:
    """A few words and strange pieces, in any order."""
    pieces = generator.choices((*words, *_TEXTS), k=generator.randint(1, 6))
    return "".join(pieces)


def bent_text(content: str, generator: random.Random) -> str:
    """One piece cut out, doubled, or replaced by something strange."""
    start = generator.randint(0, len(content))
    end = min(len(content), start + generator.choice((0, 1, 1, 2, 8)))
    middle = generator.choice(("", content[start:end] * 2, generator.choice(_TEXTS)))
    return content[:start] + middle + content[end:]


def bent_bytes(content: bytes, generator: random.Random) -> bytes:
    """Bits flipped, bytes set, a part cut, doubled, zeroed or moved; or all of it."""
    changed = bytearray(content)
    for _ in range(generator.choice((1, 1, 1, 2, 5, 20))):
        # Headers are what parsers believe: half of the harm goes there.
        reach = min(len(changed), generator.choice((64, max(64, len(changed)))))
        place = generator.randrange(reach) if reach else 0
        act = generator.randrange(7)
        if not changed:
            return bytes(generator.randbytes(generator.randint(0, 40)))
        if act < 2:
            changed[place] ^= 1 << generator.randrange(8)
        elif act == 2:
            changed[place] = generator.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif act == 3:
            size = generator.choice((2, 4, 8))
            number = generator.choice((0, 1, 2**15, 2 ** (8 * size) - 1, 2**31 - 1))
            order = generator.choice(("big", "little"))
            number = min(number, 2 ** (8 * size) - 1)
            changed[place : place + size] = number.to_bytes(size, order)
        elif act == 4:
            del changed[generator.randint(0, len(changed)) :]
        elif act == 5:
            changed[place:place] = generator.choice(
                (changed[:64], bytes(16), generator.randbytes(8), b"\r\n")
            )
        else:
            changed[place : place + 16] = bytes(16)
    return bytes(changed)


def bent_json(content: bytes, generator: random.Random) -> bytes:
    """A key left out or added, a value replaced or moved; sometimes no JSON at all."""
    if generator.random() < 0.25:
        return bent_bytes(content, generator)
    if generator.random() < 0.05:
        depth = generator.choice((50, 1_000, 100_000))
        return b"[" * depth + b"]" * depth
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # spoiled before
        return bent_bytes(content, generator)
    for _ in range(generator.choice((1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = generator.choice(places)
        act = generator.randrange(4)
        if act == 0:
            del holder[key]
        elif act == 1 and isinstance(holder, dict):
            holder[generator.choice(("x", "", str(key) * 2))] = holder.pop(key)
        elif act == 2:
            other, name = generator.choice(places)
            holder[key] = json.loads(json.dumps(other[name]))
        else:
            # A copy: the next act may change what lies there.
            holder[key] = copy.deepcopy(generator.choice(WILD))
    if generator.random() < 0.03:
        value = generator.choice(WILD)
    return json.dumps(value).encode()


def bent_values(content: bytes, generator: random.Random) -> bytes:
    """Texts and numbers of a JSON value replaced by others of their type."""
    value = json.loads(content)
    leaves = [(h, k) for h, k in _places(value) if not isinstance(h[k], dict | list)]
    for holder, key in generator.sample(
        leaves, min(len(leaves), generator.choice((1, 1, 3)))
    ):
        one = holder[key]
        if isinstance(one, str):
            holder[key] = generator.choice(
                (bent_text(one, generator), text(generator, (one,)))
            )
        elif isinstance(one, bool):
            holder[key] = not one
        elif isinstance(one, int):
            holder[key] = generator.choice((0, 1, -1, 2, 7, one + 1, 10**9, 2**62))
        elif isinstance(one, float):
            holder[key] = generator.choice((0.0, -1.0, 1e-300, 1e300, one * 1e6))
    return json.dumps(value).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    found, open_ = [], [value] if isinstance(value, dict | list) else []
    while open_:
        one = open_.pop()
        keys = one if isinstance(one, dict) else range(len(one))
        for key in keys:
            found.append((one, key))
            if isinstance(one[key], dict | list):
                open_.append(one[key])
    return found


def bend_file(
    path: Path,
    generator: random.Random,
    bend: Callable[[bytes, random.Random], bytes] = bent_bytes,
) -> None:
    """Spoils a file's content, or what lies at its place."""
    act = generator.randrange(12)
    if act > 4:
        path.write_bytes(bend(path.read_bytes(), generator))
        return
    content = path.read_bytes()
    path.unlink()
    if act == 0:
        path.mkdir()
    elif act == 1:
        os.mkfifo(path)
    elif act == 2:
        path.symlink_to(generator.choice((path.name, "nowhere", "/dev/zero", "..")))
    elif act == 3:
        path.write_bytes(b"")
    else:  # its place is empty; the content lies under another name
        path.with_name(path.name + generator.choice((".bak", " (1)", "~"))).write_bytes(
            content
        )


def copied(folder: Path, to: Path) -> Path:
    """A copy of a prepared folder, to be spoiled."""
    shutil.copytree(folder, to)
    return to
