"""Images a second: our trainer against its twin, as installed and at its best."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lossjax.suite.bench.pairs import INSTALLED, TUNED, Side, spread
from lossjax.suite.bench.works import WORKS, Work

Say = Callable[[str], None]
_SECONDS = 1.2  # how long a turn takes, about


def forms(work: Work, name: str) -> dict[str, tuple[list[list[str]], Mapping]]:
    """The twin's forms: name -> (arguments of each process, environment)."""
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, tuple[list[list[str]], Mapping]] = {
        "as installed": ([[name]], INSTALLED),
        "tuned malloc": ([[name]], TUNED),
        "channels_last, tuned malloc": ([[name, "channels_last=1"]], TUNED),
        "compiled, tuned malloc": ([[name, "compile=1"]], TUNED),
        "one thread, tuned malloc": ([[name, "threads=1"]], TUNED),
    }
    if work.replicas > 1:
        # Every core trains its share of the replicas.
        share = [work.replicas // len(cores)] * len(cores)
        for index in range(work.replicas % len(cores)):
            share[index] += 1
        pinned = [
            [name, f"core={core}", "threads=1", f"replicas={count}"]
            for core, count in zip(cores, share, strict=True)
            if count
        ]
        found[f"{len(pinned)} pinned processes, tuned malloc"] = (pinned, TUNED)
        found["vmap over replicas, tuned malloc"] = ([[name, "vmap=1"]], TUNED)
    return found


def measure(name: str, rounds: int, quick: bool, say: Say) -> dict[str, Any]:
    """One row: ours, the twin as installed, the twin's fastest form; alternating."""
    work = WORKS[name]
    images = work.batch * work.replicas
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Side("ours", [[name]]))
        twins = _twins(forms(work, name), quick, say)
        sides = {"ours": ours}
        for form, twin in twins.items():
            sides[form] = stack.enter_context(twin)
        steps = {key: _steps(side) for key, side in sides.items()}
        rates: dict[str, list[float]] = {key: [] for key in sides}
        gemm, alone = [], []
        for _ in range(rounds):
            for key, side in sides.items():
                rates[key].append(images / _turn(side, steps[key]))
            gemm.append(ours.ask("gemm")["gemm"])
            alone.append(images / ours.ask("products")["products"])
        best = max(twins, key=lambda form: spread(rates[form])["median"])
        share = [
            rate * work.flops / roof
            for rate, roof in zip(rates["ours"], gemm, strict=True)
        ]
        return {
            "work": name,
            "images": work.image,
            "batch": work.batch,
            "replicas": work.replicas,
            "parameters": ours.facts["parameters"],
            "images_per_second": {key: spread(rate) for key, rate in rates.items()},
            "ms_per_run_and_step": 1e3 * work.batch / spread(rates["ours"])["median"],
            "best": best,
            "against_installed": _ratio(rates["ours"], rates["as installed"]),
            "against_best": _ratio(rates["ours"], rates[best]),
            "gemm": spread(gemm),
            "share_of_gemm": spread(share),
            "products_alone": spread(alone),
            "share_of_products": _ratio(rates["ours"], alone),
            "compile_seconds": ours.facts["compile"],
            "peak_bytes": {key: side.peak for key, side in sides.items()},
            "facts": {key: side.facts for key, side in sides.items()},
        }


def _twins(found: Mapping, quick: bool, say: Say) -> dict[str, Side]:
    """The twin as installed and, of its other forms, those that might be the best."""
    open_: dict[str, Side] = {}
    rates: dict[str, float] = {}
    for form, (calls, environment) in found.items():
        if quick and form not in ("as installed", "tuned malloc") and len(calls) == 1:
            continue
        try:
            side = Side("twin", calls, environment)
        except ChildProcessError as error:
            say(f"  {form}: {error}")
            continue
        open_[form] = side
        steps = _steps(side)
        rates[form] = steps / side.seconds(steps)
    # The two fastest at a glance are measured in earnest.
    kept = sorted(rates, key=rates.__getitem__)[-2:]
    for form in list(open_):
        if form not in (*kept, "as installed"):
            open_.pop(form).close()
    return open_


def _steps(side: Side) -> int:
    """As many as fill a turn; the first ones warm up."""
    side.seconds(1)
    return max(2, round(_SECONDS * 3 / side.seconds(3)))


def _turn(side: Side, steps: int, loss: str = "") -> float:
    """Seconds of a step; what others drove out of memory comes back before it."""
    side.seconds(max(1, steps // 5), loss)
    return side.seconds(steps, loss) / steps


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def replicas(rounds: int) -> dict[str, Any]:
    """Time of a run and step at 64 replicas over that at 4, and memory of each."""
    name, few, many = "32 digits", 4, 64
    with (
        Side("ours", [[name, f"replicas={few}"]]) as small,
        Side("ours", [[name, f"replicas={many}"]]) as large,
    ):
        steps = {few: _steps(small), many: _steps(large)}
        ratios = []
        for _ in range(rounds):
            each = {
                count: _turn(side, steps[count]) / count
                for count, side in ((few, small), (many, large))
            }
            ratios.append(each[many] / each[few])
        more = many - few
        grown = large.facts["temporary"] - small.facts["temporary"]
        return {
            "few": few,
            "many": many,
            "time_per_run": spread(ratios),
            "state_bytes_a_run": (large.facts["state"] - small.facts["state"]) / more,
            "temporary_bytes_a_run": grown / more,
            "compile_seconds": [small.facts["compile"], large.facts["compile"]],
        }


def pages(rounds: int) -> dict[str, dict[str, float]]:
    """Time of calls of ten steps without the large pages of run.sh over that with them.

    After so few steps a sweep of a hundred looks at its runs.
    """
    found = {}
    for name in WORKS:
        with (
            Side("ours", [[name]]) as large,
            Side("ours", [[name]], INSTALLED) as small,
        ):
            calls = max(1, _steps(large) // 10)
            _short(small, calls), _short(large, calls)  # they warm up
            ratios = [
                _short(small, calls) / _short(large, calls) for _ in range(2 * rounds)
            ]
            found[name] = spread(ratios)
    return found


def _short(side: Side, calls: int) -> float:
    """Seconds of so many calls of ten steps."""
    return sum(side.seconds(10) for _ in range(calls))


def precisions(asked: Sequence[str], rounds: int) -> dict[str, Any]:
    """Images a second in each precision over those in float32."""
    name = "one 28x28"
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(Side("ours", [[name, f"precision={precision}"]]))
            for precision in ("float32", *asked)
        ]
        steps = [_steps(side) for side in sides]
        ratios: dict[str, list[float]] = {precision: [] for precision in asked}
        for _ in range(rounds):
            plain, *rates = [
                count / side.seconds(count)
                for side, count in zip(sides, steps, strict=True)
            ]
            for precision, rate in zip(asked, rates, strict=True):
                ratios[precision].append(rate / plain)
        speed = {precision: spread(each) for precision, each in ratios.items()}
        return {"work": name, "speed": speed}


def overheads(losses: Sequence[str], rounds: int) -> dict[str, dict[str, float]]:
    """Time of a step with each loss over that with mse, in one program."""
    name = "one 28x28"
    order = ["mse", *(loss for loss in losses if loss != "mse")]
    with Side("ours", [[name, *order]]) as side:
        side.seconds(2)
        steps = _steps(side)
        ratios: dict[str, list[float]] = {loss: [] for loss in order[1:]}
        for loss in order[1:]:
            for _ in range(rounds):
                base = _turn(side, steps, "mse")
                ratios[loss].append(_turn(side, steps, loss) / base)
        return {loss: spread(values) for loss, values in ratios.items()}
