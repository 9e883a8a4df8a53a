"""How much memory a function needs, from its trace: nothing is compiled or run."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, Var, jaxprs_in_params

_LOOPS = ("while", "scan")  # hold what is carried beside what their bodies make


def nbytes(tree: Any) -> int:
    """Bytes of all arrays of a tree, or of arrays of such shapes."""
    leaves = jax.tree.leaves(tree)
    return sum(int(np.prod(x.shape)) * np.dtype(x.dtype).itemsize for x in leaves)


def peak_bytes(function: Callable[..., Any], *arguments: Any, backend: str) -> int:
    """The most bytes that a function's own results take at any one time.

    As if each operation wrote its result whole and it was freed after its last use. A
    compiler that fuses operations needs less; one that pads arrays or keeps copies in
    another order more.

    Args:
      function: any that jax can trace.
      arguments: arrays or their shapes; they are not counted.
      backend: whose branches are counted where code depends on it: cpu, gpu, tpu.
    """
    return _peak(jax.make_jaxpr(function)(*arguments).jaxpr, backend)


def compiled_bytes(compiled: Any) -> int:
    """What a compiled program takes of a device, by its compiler; 0 where unknown."""
    memory = compiled.memory_analysis()
    if memory is None:
        return 0
    return int(
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.generated_code_size_in_bytes
    )


def _peak(jaxpr: Jaxpr, backend: str) -> int:
    """The peak over a jaxpr's operations, its own inputs left out."""
    uses: dict[Var, int] = {}
    for place, equation in enumerate(jaxpr.eqns):
        made = (*equation.invars, *equation.outvars)
        uses |= {v: place for v in made if isinstance(v, Var)}
    kept = {v for v in jaxpr.outvars if isinstance(v, Var)}
    held: dict[Var, int] = {}
    peak = 0
    for place, equation in enumerate(jaxpr.eqns):
        made_here = {v: _bytes_of(v) for v in equation.outvars}
        new = sum(made_here.values())
        inner = max((_peak(j, backend) for j in _inner(equation, backend)), default=0)
        loop = equation.primitive.name in _LOOPS
        # The results of a body that is not a loop's are those of the operation itself.
        peak = max(
            peak, sum(held.values()) + (new + inner if loop else max(new, inner))
        )
        held |= made_here
        held = {v: size for v, size in held.items() if uses[v] > place or v in kept}
    return peak


def _inner(equation: Any, backend: str) -> list[Jaxpr]:
    """The bodies of an operation that may run on the backend."""
    of = equation.params.get("branches_platforms")
    if of is None:
        return list(jaxprs_in_params(equation.params))
    own = {"gpu": ("gpu", "cuda", "rocm")}.get(backend, (backend,))
    chosen = [
        place
        for place, names in enumerate(of)
        if names is None or set(names) & set(own)
    ]
    return [equation.params["branches"][chosen[0]].jaxpr]


def _bytes_of(variable: Any) -> int:
    shape, dtype = variable.aval.shape, variable.aval.dtype
    # A key's dtype is jax's own and says the size of one key.
    return int(np.prod(shape)) * dtype.itemsize
