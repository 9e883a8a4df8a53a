"""Every row of LOSSES keeps the contract, and the contract catches planted defects."""

from collections.abc import Callable, Iterator

import jax
import loss_contract
import pytest

from lossjax import LOSSES, Loss


@pytest.fixture(autouse=True)
def _strict_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield


def cases() -> Iterator[object]:
    """Every row under every clause; the quick run samples those that compile most."""
    for clause in loss_contract.CLAUSES:
        for index, loss in enumerate(LOSSES.values()):
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
