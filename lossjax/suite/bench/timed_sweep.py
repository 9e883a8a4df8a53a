"""A sweep that says how long it compiled: the arguments of `sweep`, one JSON line last.

Compilation overlaps with training, so its seconds are those of all threads together.
"""

import json
import sys
from collections import defaultdict

from jax import monitoring

from lossjax.suite.sweep import __main__ as sweep

_STAGES = {
    "/jax/core/compile/jaxpr_trace_duration": "compile",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "compile",
    "/jax/core/compile/backend_compile_duration": "compile",
    "/jax/compilation_cache/cache_retrieval_time_sec": "retrieve",
}


def main(arguments: list[str]) -> int:
    seconds: dict[str, float] = defaultdict(float)

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event in _STAGES:
            seconds[_STAGES[event]] += duration_secs

    monitoring.register_event_duration_secs_listener(listen)
    code = sweep.main(arguments)
    print(json.dumps(dict(seconds)))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
