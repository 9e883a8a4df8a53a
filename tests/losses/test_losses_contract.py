"""Every row of LOSSES keeps the contract, and the contract catches planted defects."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator

import jax
import loss_contract
import pytest

from lossjax import LOSSES, Loss, losses


@pytest.fixture(autouse=True)
def _strict_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield


def cases() -> Iterator[object]:
    """Every row under every clause; the quick run samples those that compile most.

    What `Loss.fn` does alike around every kernel is asked of one row of each kind.
    """
    kinds = {loss_contract.kind(loss): loss for loss in reversed(LOSSES.values())}
    for clause in loss_contract.CLAUSES:
        of_kinds = clause in loss_contract.OF_KINDS
        rows = kinds.values() if of_kinds else LOSSES.values()
        for index, loss in enumerate(rows):
            late = clause in loss_contract.COSTLY and index % 6 > 0
            yield pytest.param(
                clause,
                loss,
                id=f"{clause.__name__}-{loss.family}",
                marks=[pytest.mark.slow] if late else [],
            )


@pytest.mark.parametrize(("clause", "loss"), list(cases()))
def test_contract(clause: Callable[[Loss], None], loss: Loss) -> None:
    clause(loss)


def test_every_row_is_in_the_table() -> None:
    for module in pkgutil.iter_modules(losses.__path__, "lossjax.losses."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Loss):
                listed = LOSSES.get(value.family) is value
                assert listed, f"{module.name}.{name}: CONTRIBUTING.md, A loss, step 2"
