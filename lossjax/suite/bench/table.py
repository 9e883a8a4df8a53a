"""What was measured, as a Markdown table."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

# What each part was to reach: (against as installed, against its best).
GOALS: Mapping[str, tuple[float, float | None]] = {
    "one 28x28": (1.6, 1.1),
    "two 28x28": (1.6, 1.1),
    "one 32x32 colour": (1.6, 1.1),
    "two 32x32 colour": (1.6, 1.1),
    "32 digits": (7.0, 4.0),
}


def markdown(found: Mapping[str, Any]) -> str:
    """All parts that were measured, as a page of Markdown."""
    pieces = [_nets(found["nets"])] if found["nets"] else []
    pieces += [words(found[part]) for part, words in _PARTS.items() if part in found]
    return "\n\n".join(pieces) + "\n"


def _nets(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for name, row in rows.items():
        ours = row["images_per_second"]["ours"]["median"]
        installed, best = GOALS[name]
        lines.append(
            {
                "network": f"{name}, batch {row['batch']}",
                "images/s": f"{ours:,.0f}",
                "of the GEMM rate": _percent(row["share_of_gemm"]),
                "of its products alone": _percent(row["share_of_products"]),
                "against PyTorch as installed": _times(row["against_installed"]),
                "against its best": _times(row["against_best"]),
                "its best": row["best"],
                "goals": f"{installed:g} x, {best:g} x",
            }
        )
    return pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)


def _sweep(part: Mapping[str, Any]) -> str:
    seconds = {kind: value["median"] for kind, value in part["seconds"].items()}
    share, spared, left = (
        100 * part[name]["median"]
        for name in ("compile_share", "compile_spared", "warm_of_cold_compile")
    )
    return (
        f"A whole digits sweep of {part['runs']} runs of {part['steps']} steps, from "
        f"process start to the report: {seconds['cold']:.0f} s the first time, "
        f"{seconds['warm']:.0f} s with a warm compilation cache; the same runs as a "
        f"plain PyTorch script {seconds['twin']:.0f} s: "
        f"{_times(part['against_twin']['cold'])} and "
        f"{_times(part['against_twin']['warm'])}. Tracing and compiling take "
        f"{share:.0f} % of the cores' time the first time; a warm cache leaves "
        f"{left:.0f} % of it, which is tracing, and spares {spared:.0f} % of the wall "
        f"clock."
    )


def _replicas(part: Mapping[str, Any]) -> str:
    return (
        f"A run at {part['many']} replicas takes {_times(part['time_per_run'])} the "
        f"time of a run at {part['few']}; one more replica takes "
        f"{part['state_bytes_a_run'] / 1e3:.0f} KB of state and "
        f"{part['temporary_bytes_a_run'] / 1e3:.0f} KB of temporary memory."
    )


def _pages(part: Mapping[str, Any]) -> str:
    times = ", ".join(f"{name} {_times(value)}" for name, value in part.items())
    return f"Calls of ten steps without large pages, relative to with them: {times}."


def _precision(part: Mapping[str, Any]) -> str:
    lines: dict[str, dict[str, str]] = {}
    for precision, metrics in part["metrics"].items():
        for name, value in metrics.items():
            line = lines.setdefault(name, {"metric": name})
            line[precision] = f"{value['change']:+.2g}"
            line[f"{precision}, of the spread"] = f"{value['of_spread']:.2f}"
    rows = pd.DataFrame(lines.values())
    table = rows.to_markdown(index=False, disable_numparse=True)
    speeds = [f"{name} {_times(value)}" for name, value in part["speed"].items()]
    return (
        f"Speed of the 28x28 network relative to `precision=float32`: "
        f"{', '.join(speeds)}. Change of every metric of the digits after "
        f"{part['steps']} steps (bce and mse, the larger), also as a share of its "
        f"standard deviation over {part['seeds']} seeds:\n\n{table}"
    )


def _losses(part: Mapping[str, Any]) -> str:
    items = [f"{name} {_times(value)}" for name, value in part.items()]
    return f"Time of a 28x28 step relative to mse: {', '.join(items)}."


def _width(part: Mapping[str, Any]) -> str:
    lines = [
        {
            "runs side by side": f"{row['runs']:,}",
            "a step of all, ms": f"{row['step_ms']['median']:.2f}",
            "a step of one run, us": f"{row['run_step_us']:.1f}",
            "images/s": f"{row['images_per_second']:,.0f}",
            "TFLOP/s": f"{row['teraflops']:.2f}",
            "MiB": f"{row['bytes'] / 2**20:,.0f}",
        }
        for row in part["rows"]
    ]
    table = pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)
    return f"Ten losses of the digits on {part['device_kind']}:\n\n{table}"


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "sweep": _sweep,
    "replicas": _replicas,
    "pages": _pages,
    "precision": _precision,
    "losses": _losses,
    "width": _width,
}


def _percent(value: Mapping[str, float]) -> str:
    return f"{100 * value['median']:.0f} %"


def _times(value: Mapping[str, float]) -> str:
    return f"{value['median']:.2f} x [{value['low']:.2f}, {value['high']:.2f}]"
