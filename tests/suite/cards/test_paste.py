"""Code to paste: there for every loss, whole, and equal to the loss it stands for."""

import ast
import builtins
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import LOSSES, Loss, resolve
from lossjax.suite.cards import __main__ as losses
from lossjax.suite.cards import paste, plain
from lossjax.suite.cli.errors import UserError

TOLERANCE = 1e-6
EDGES = ("barron(alpha=0)", "beta_divergence(b=0)")  # limits with code of their own


@functools.cache
def variants() -> tuple[Loss, ...]:
    """Every loss that has code, at its defaults and away from them."""
    return tuple(_variants())


def _variants() -> Iterator[Loss]:
    for row in LOSSES.values():
        if row.family in plain.WITHOUT:
            continue
        yield row
        if row.parameters:
            values = [f"{p.name}={min(2 * p.default, p.high)}" for p in row.parameters]
            yield resolve(f"{row.family}({', '.join(values)})")
    yield from map(resolve, EDGES)


def example(loss: Loss) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Raw outputs, targets with black and white among them, trained scalars."""
    rng = np.random.default_rng(0)
    raw = 2 * rng.normal(size=(2, 16, 18, 2 * loss.channels))
    grey = rng.uniform(-0.2, 1.2, size=(2, 16, 18, 2)).clip(0, 1)
    return raw, np.rint(255 * grey) / 255, dict.fromkeys(loss.scalars, np.array(-1.5))


def run(text: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(compile(text, "pasted", "exec"), scope)
    return scope


def differentiated(score: Any, raw: Any, scalars: Any) -> Any:
    """Values, and derivatives of the first image's plus half of the second's."""

    def total(raw: Any, scalars: Any) -> Any:
        values = score(raw, scalars)
        return values[0] + values[1] / 2, values

    (_, values), slopes = jax.value_and_grad(total, (0, 1), has_aux=True)(raw, scalars)
    return values, *slopes


@functools.cache
def ours(loss: Loss) -> Any:
    """What the loss itself says of the example."""
    raw, target, scalars = example(loss)

    def score(raw: Any, scalars: Any) -> Any:
        return loss.fn(raw, jnp.asarray(target), scalars)

    return *differentiated(score, raw, scalars), loss.read_out(raw)


def in_jax(scope: dict[str, Any], raw: Any, target: Any, scalars: Any) -> Any:
    raw, target = jnp.asarray(raw), jnp.asarray(target)
    scalars = {name: jnp.asarray(value) for name, value in scalars.items()}

    def score(raw: Any, scalars: Any) -> Any:
        return scope["loss"](raw=raw, target=target, **scalars)

    return *differentiated(score, raw, scalars), scope["output_image"](raw)


def in_torch(scope: dict[str, Any], raw: Any, target: Any, scalars: Any) -> Any:
    import torch

    def channels_first(images: Any) -> Any:
        return torch.tensor(images).movedim(-1, 1)

    leaf = channels_first(raw).clone().requires_grad_()
    trained = {n: torch.tensor(v, requires_grad=True) for n, v in scalars.items()}
    values = scope["loss"](leaf, channels_first(target), **trained)
    (values[0] + values[1] / 2).backward()
    return (
        values.detach(),
        leaf.grad.movedim(1, -1),
        {name: value.grad for name, value in trained.items()},
        scope["output_image"](leaf.detach()).movedim(1, -1),
    )


@pytest.mark.slow
@pytest.mark.parametrize("library", paste.LIBRARIES)
def test_what_is_pasted_is_the_loss(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    if library != "jax":
        pytest.importorskip(library, reason=f"{library} is not installed")
    pasted = in_torch if library == "torch" else in_jax
    with jax.enable_x64(True):
        for loss in variants():
            found = pasted(run(paste.code(loss, library)), *example(loss))
            leaves = zip(*map(jax.tree.leaves, (ours(loss), found)), strict=True)
            for one, other in leaves:
                one, other = np.asarray(one), np.asarray(other)
                assert one.shape == other.shape, loss.name
                # To the largest: keras computes its means in float32 whatever it gets.
                near = np.abs(one - other) <= TOLERANCE * np.abs(one).max()
                assert near.all(), f"{loss.name}: {np.abs(one - other).max():.1e}"


def test_every_loss_has_code_or_a_reason() -> None:
    for row in LOSSES.values():
        for library in paste.LIBRARIES:
            if row.family in plain.WITHOUT:
                with pytest.raises(UserError, match=f"^{row.family} has no code"):
                    paste.code(row, library)
                continue
            text = paste.code(row, library)
            tree = ast.parse(text)
            names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
            known = set(dir(builtins)) | {
                n.id
                for n in ast.walk(tree)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.arg | ast.alias):
                    own = node.arg if isinstance(node, ast.arg) else node.name
                    known.add(getattr(node, "asname", None) or own)
            assert names <= known, f"{row.family} {library}: {names - known} undefined"
            assert max(map(len, text.splitlines())) <= 100
            assert {"loss", "output_image", "output_layer"} <= known
            assert "lossjax." not in text  # it stands alone


def test_values_that_were_asked_for_are_in_the_code() -> None:
    assert "delta: float = 0.05)" in paste.code(resolve("huber(delta=0.05)"), "torch")
    scope = run(paste.code(resolve("gaussian_pixel"), "jax"))
    layer = scope["output_layer"](4, 3, scope["nnx"].Rngs(0))
    assert layer(jnp.zeros((1, 8, 8, 4))).shape == (1, 8, 8, 6)


def test_nothing_but_code_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert losses.main(["mse", "--code=jax"]) == 0
    printed = capsys.readouterr()
    assert not printed.err
    zeros = jnp.zeros((1, 8, 8, 1))
    assert float(run(printed.out)["loss"](zeros, zeros)[0]) == 0.25


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--code=torch"], "--code takes the name of a loss"),
        (["mse", "--code=mxnet"], "--code='mxnet': valid: jax, torch, keras"),
        (["mse", "--code="], "--code='': valid: jax, torch, keras"),
        (["mse", "--code=jax", "--speed"], "exclude each other"),
        (["power", "--code=jax"], "power has no code to paste: its value is"),
        (["hubr", "--code=jax"], "did you mean huber?"),
    ],
)
def test_refuses_code_in_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        losses.main(arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)
