"""Metrics above the columns of the page's tables; what is derived is folded away."""

from collections.abc import Callable, Iterable

from markupsafe import Markup

from lossjax.suite.report import markup
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.wording import listed


def head(evidence: Evidence, group: Group, metric: str, unit: str = "") -> Field:
    """A metric's name, which way is better, and its meaning for who points at it.

    Args:
      unit: of a distance to the best, of which less is always better.
    """
    direction = "lower" if unit else evidence.metrics[metric]["direction"]
    source = group.derived.get(metric)
    notes = [unit or f"{direction} is better", f"from {source}" if source else ""]
    words = ", ".join(filter(None, notes))
    return markup.metric_head(metric, direction, meaning(evidence, metric), words)


def meaning(evidence: Evidence, metric: str) -> str:
    """What a metric is, in plain words; its name, of a sweep that did not store it."""
    row = evidence.metrics[metric]
    return row.get("meaning") or row.get("label", metric)


def folded(
    group: Group, metrics: Iterable[str], table: Callable[[list[str]], Markup]
) -> Markup:
    """The table of the metrics, and folded below it that of the derived ones.

    Args:
      table: makes the table of some of the metrics.
    """
    every = list(metrics)
    derived = [metric for metric in every if metric in group.derived]
    counted = [metric for metric in every if metric not in group.derived]
    if not counted or not derived:
        return table(every)
    fold = Markup("{}<details><summary>Derived metrics: {}</summary>{}</details>")
    return fold.format(table(counted), listed(derived), table(derived))
