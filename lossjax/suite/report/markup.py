"""Parts of the page: templates with autoescape, sortable tables, strips of pictures."""

import base64
import dataclasses
import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from lossjax.suite.report.inert import slug, unbroken, visible
from lossjax.suite.report.style import Mark
from lossjax.suite.report.untuned import Point
from lossjax.suite.statistics import Interval, Standing

PAGE = Path(__file__).with_name("page")
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(PAGE),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclasses.dataclass(frozen=True)
class Field:
    """One table cell: what is shown, what it sorts by, how it is set."""

    shown: Any
    sort: float | str = ""
    kind: str = ""  # CSS classes: num, best, ...
    head: str = ""  # shown before it where a narrow screen stacks the cells
    first: str = ""  # of a head: "descending" where the largest is the best


def render(template: str, **values: Any) -> Markup:
    """A section's template, given as text; every value is escaped unless Markup."""
    return Markup(ENVIRONMENT.from_string(template).render(**values))


def page(**values: Any) -> str:
    """A whole page, which runs its own script and no other; see `policy`."""
    css, *js_files = (_asset(n) for n in ("page.css", "page.js", "gallery.js"))
    js = "".join(js_files)
    for section in values["sections"]:
        section["body"] = Markup(unbroken(section["body"]))
    footer = Markup(unbroken(escape(values.pop("footer"))))
    template = ENVIRONMENT.get_template("index.html")
    text = template.render(
        css=Markup(css),
        js=Markup(js),
        policy=policy(css, js),
        footer=footer,
        **values,
    )
    return visible(text)


def _asset(name: str) -> str:
    return visible((PAGE / name).read_text(encoding="utf-8"))


def policy(css: str, js: str = "") -> str:
    """The Content-Security-Policy of a page that holds this style and this script.

    Each goes by its hash: what a name or a stored file might smuggle in has another.
    """
    allowed = {"img-src": "data:", "style-src": _hash(css)}
    if js:
        allowed["script-src"] = _hash(js)
    none = ("default-src", "base-uri", "form-action")
    return "; ".join(
        f"{name} {value}"
        for name, value in (dict.fromkeys(none, "'none'") | allowed).items()
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def table(
    caption: str,
    columns: Sequence[str | Field],
    rows: Sequence[Sequence[Field]],
    kind: str = "",
    ordered: int | None = None,
) -> Markup:
    """A table to sort, link to and save; its first column heads the rows.

    Args:
      ordered: the column that the rows already stand in order of, the best first.
    """
    heads = [c if isinstance(c, Field) else Field(c) for c in columns]
    words, _, _ = caption.partition(";")
    title = slug(words.partition(".")[0]).lower()
    key = f"{title[:60]}-{hashlib.sha256(caption.encode()).hexdigest()[:4]}"
    return Markup(
        ENVIRONMENT.get_template("table.html").render(
            caption=caption,
            heads=heads,
            rows=rows,
            kind=kind,
            key=f"table-{key}",
            ordered=ordered,
            file=f"{key}.csv",
        )
    )


def breakable(name: str) -> Markup:
    """A name that a narrow column may break at its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def metric_head(name: str, direction: str, meaning: str, words: str) -> Field:
    """A metric above a column, with its meaning and a few words below it."""
    shown = Markup('<span title="{}">{}</span> <span class="half">{}</span>').format(
        meaning, breakable(name), words
    )
    first = "descending" if direction == "higher" else ""
    return Field(shown, name, "num", first=first)


def number(value: float, places: int) -> Field:
    """A number to so many places; without one, a dash that sorts last."""
    if not math.isfinite(value):
        return Field("–", "", "num")
    return Field(f"{value:.{places}f}", float(f"{value:.7g}"), "num")


def mean(value: Interval | Standing, places: int, kind: str = "num") -> Field:
    """A mean with half its interval; without a mean, a dash that sorts last."""
    if not math.isfinite(value.center):
        return number(math.nan, 0)
    shown = Markup("{}").format(f"{value.center:.{places}f}")
    if math.isfinite(value.low):
        half = f"{(value.high - value.low) / 2:.{places}f}"
        shown += Markup(' <span class="half">±{}</span>').format(half)
    return Field(shown, float(f"{value.center:.7g}"), kind)


def name(loss: str, mark: Mark) -> Field:
    """A loss's icon and name, and what must be known of it."""
    shown = Markup("{}<code>{}</code>").format(mark.icon(), loss)
    if mark.note:
        shown += Markup(' <span class="half">({})</span>').format(mark.note)
    return Field(shown, loss, "loss")


def chip(loss: str, mark: Mark) -> Markup:
    """A loss beside its mark, within text."""
    return Markup('<span class="chip">{}<code>{}</code></span>').format(
        mark.icon(), loss
    )


def in_colour(images: np.ndarray) -> np.ndarray:
    """Images (..., 1 or 3) of any number of bands: first, middle and last as colours.

    Of two bands the first, as grey.
    """
    bands = images.shape[-1]
    if bands in (1, 3):
        return images
    return images[..., [0] if bands == 2 else [0, bands // 2, bands - 1]]


def strip(images_u8: np.ndarray, alt: str) -> Markup:
    """uint8 images (k, H, W, C) side by side as one inline PNG, gaps transparent."""
    images_u8 = in_colour(images_u8)
    count, height, width, channels = images_u8.shape
    gap = max(1, width // 12)
    canvas = np.zeros((height, count * (width + gap) - gap, channels + 1), np.uint8)
    for i, image in enumerate(images_u8):
        left = i * (width + gap)
        canvas[:, left : left + width, :channels] = image
        canvas[:, left : left + width, channels] = 255
    buffer = io.BytesIO()
    Image.fromarray(canvas, "LA" if channels == 1 else "RGBA").save(
        buffer, "PNG", compress_level=9
    )
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Markup(
        '<img class="strip" src="data:image/png;base64,{}" width="{}" height="{}" '
        'data-count="{}" data-side="{}" alt="{}">'
    ).format(data, canvas.shape[1], height, count, width, alt)


def forest(
    mark: Mark, low: float, center: float, high: float, span: tuple[float, float]
) -> Markup:
    """An interval as a small picture on the scale `span`; the table has its numbers."""
    width, middle = 160.0, 8.0
    extent = span[1] - span[0] or 1.0

    def place(value: float) -> float:
        return 6 + (width - 12) * (value - span[0]) / extent

    line = ""
    if math.isfinite(low):
        line = Markup(
            '<line x1="{:.1f}" x2="{:.1f}" y1="8" y2="8" stroke="{}"/>'
        ).format(place(low), place(high), mark.colour)
    return Markup(
        '<svg class="forest" viewBox="0 0 160 16" aria-hidden="true">{}{}</svg>'
    ).format(line, mark.use(place(center), middle, 6))


def accepted(
    published: float, delta: float, low: float, center: float, high: float
) -> Markup:
    """A published number, what is accepted around it, and ours with its interval."""
    ends = (published - delta, published + delta, low, high)
    first, extent = min(ends), max(ends) - min(ends) or 1.0

    def place(value: float) -> float:
        return 6 + 148 * (value - first) / extent

    left, right, line = (place(x) for x in (*ends[:2], published))
    return Markup(
        '<svg class="forest" viewBox="0 0 160 16" aria-hidden="true">'
        '<rect x="{:.1f}" width="{:.1f}" y="1" height="14"/>'
        '<line x1="{:.1f}" x2="{:.1f}" y1="1" y2="15"/>'
        '<line x1="{:.1f}" x2="{:.1f}" y1="8" y2="8"/>'
        '<circle cx="{:.1f}" cy="8" r="4"/></svg>'
    ).format(left, right - left, line, line, place(low), place(high), place(center))


def sparkline(mark: Mark, points: Sequence[Point]) -> Markup:
    """Values on log axes where they allow it; lost rates are crosses on top.

    A bar at each rate reaches from minimum to maximum over seeds; a ring marks a rate
    that seeds chose, the fainter the fewer.
    """
    width, height, edge = 180.0, 84.0, 12.0
    fine = [point for point in points if not point.lost]
    lost = [point.rate for point in points if point.lost]
    rates = [point.rate for point in points]
    values = [value for point in fine for value in point.seen]
    if not rates:
        return Markup("")
    positive = bool(values) and min(values) > 0

    def scaled(value: float) -> float:
        return math.log(value) if positive else value

    low = scaled(min(values)) if values else 0.0
    high = scaled(max(values)) if values else 1.0
    first, last = math.log(min(rates)), math.log(max(rates))

    def x(rate: float) -> float:
        reach = (math.log(rate) - first) / (last - first) if last > first else 0.5
        return edge + (width - 2 * edge) * reach

    def y(value: float) -> float:
        rise = (scaled(value) - low) / (high - low) if high > low else 0.5
        return height - edge - (height - 2 * edge) * rise

    path = " ".join(f"{x(p.rate):.1f},{y(p.value.center):.1f}" for p in fine)
    parts = [f'<polyline points="{path}" fill="none" stroke="{mark.colour}"/>']
    for point in fine:
        across, (least, most) = x(point.rate), point.seen
        parts.append(
            f'<path d="M{across:.1f} {y(least):.1f}V{y(most):.1f}" '
            f'stroke="{mark.colour}"/>'
        )
        parts.append(mark.use(across, y(point.value.center), 5))
        if point.chosen:
            parts.append(
                f'<circle cx="{across:.1f}" cy="{y(point.value.center):.1f}" r="8" '
                f'fill="none" stroke="{mark.colour}" '
                f'stroke-opacity="{share(point):.2f}"/>'
            )
    for rate in lost:
        left, top = x(rate), edge
        parts.append(
            f'<path d="M{left - 4:.1f} {top - 4:.1f}l8 8m0-8l-8 8" '
            f'stroke="{mark.colour}"/>'
        )
    return Markup(
        f'<svg class="spark" viewBox="0 0 {width:g} {height:g}" aria-hidden="true">'
        f'<path class="axis" d="M{edge / 2:g} {height - 4:g}H{width - edge / 2:g}"/>'
        + "".join(parts)
        + "</svg>"
    )


def share(point: Point) -> float:
    """How strongly a rate's ring is drawn, by the seeds that chose it."""
    return max(0.25, point.chosen / point.n)
