"""A sweep's results as an object, for notebooks; reads what is stored, without jax."""

import base64
import io
import shutil
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.cli.errors import UserError, unknown
from lossjax.suite.config import Sweep
from lossjax.suite.report import markup, recipes, reconstructions, style
from lossjax.suite.report.build import Summary, build
from lossjax.suite.report.evidence import Group
from lossjax.suite.report.imagewise import over_images
from lossjax.suite.report.sections import gallery, rankings
from lossjax.suite.report.tables import matrices
from lossjax.suite.store import ownership

_TEMPLATE = """
<div>
<ul>{% for line in verdict %}<li>{{ line }}</li>{% endfor %}</ul>
{{ table }}
{% for name, png in figures.items() %}
<img alt="{{ name }}" src="data:image/png;base64,{{ png }}"><br>
{% endfor %}
Report: <code>{{ page }}</code>
<details><summary>The same sweep as a command</summary><code>{{ command }}</code>
</details>
</div>
"""


class Comparison:
    """What a sweep says, of one setting where it has several."""

    def __init__(self, summary: Summary, group: Group) -> None:
        self._summary, self._group = summary, group

    @classmethod
    def of(cls, out: str | PathLike[str]) -> Self:
        """What the sweep in a directory says; the first of its settings.

        Raises:
          UserError: there is no readable sweep.
        """
        summary = build(Path(out))
        return cls(summary, summary.evidence.groups[0])

    @property
    def out(self) -> Path:
        """Where runs and report are kept."""
        return self._summary.out

    @property
    def config(self) -> Sweep:
        """The resolved config of the sweep."""
        return self._summary.evidence.sweep

    @property
    def command(self) -> str:
        """The command line that trains the same sweep in another directory."""
        return recipes.sweep(self._summary.evidence)

    @property
    def verdict(self) -> str:
        """The verdict, one line a sentence; while runs are missing, how many."""
        lines = self._summary.verdict.splitlines()
        if len(self._summary.evidence.judged) == 1:  # what it is of goes without saying
            lines = [line.removeprefix(f"{self._group.name}: ") for line in lines]
        return "\n".join(lines)

    def table(self) -> pd.DataFrame:
        """A row for each loss, the best by the primary metric first.

        Of every metric on test images the mean over seeds, the ends of its 95 %
        interval, and the word: best, equivalent, undecided or worse; where some loss
        has a dial, by what it was chosen. Empty while runs are missing.
        """
        if not self._group.rankings:
            return pd.DataFrame(index=pd.Index([], name="loss"))
        table = matrices.comparison(self._group)[1].set_index("loss")
        words = ("_word", "dial")
        numbers = [name for name in table if not str(name).endswith(words)]
        return table.assign(**table[numbers].apply(pd.to_numeric))

    def reconstructions(self) -> Figure:
        """The same test images through every loss, the originals above."""
        if not (strips := self._strips()):
            raise UserError(f"reconstructions: {self.out} holds no pictures")
        with style.applied():
            return _shown(reconstructions.drawn(strips))

    def figure(self, metric: str | None = None) -> Figure:
        """Means and intervals of every loss by a metric; None: the primary one.

        Raises:
          UserError: runs are missing, or no such metric was ranked.
        """
        evidence, ranked = self._summary.evidence, self._group.rankings
        name = metric or self._group.primary
        if name not in ranked:
            valid = f"valid: {', '.join(ranked)}" if ranked else self.verdict
            raise UserError(f"figure: {name!r} is not ranked; {valid}")
        images = over_images(evidence, self._group, name, ranked[name])
        with style.applied():
            return _shown(rankings.figure_of(evidence, name, ranked[name], images))

    def report(self, path: str | PathLike[str] | None = None) -> Path:
        """The page of the report; with a path its copy there.

        Args:
          path: FILE.html, a page that needs nothing beside it, or a new folder for the
            tables and figures too.

        Raises:
          UserError: a file or folder is there that this suite did not write.
        """
        if path is None:
            return self._summary.page
        target = Path(path).expanduser()
        if target.suffix == ".html":
            ownership.check_file(target, ownership.SIGN)
            shutil.copyfile(self._summary.page, target)
            return target
        if target.exists():
            raise UserError(f"report: {target} exists; name a new folder, or FILE.html")
        shutil.copytree(self._summary.page.parent, target)
        return target / "index.html"

    def run(self, loss: str, seed: int | None = None) -> Path:
        """The folder of the run that counts of a loss and seed; None: the first seed.

        `lossjax.load` makes the trained autoencoder of it.

        Raises:
          UserError: no such loss, or none of the seed's rates survived.
        """
        if loss not in self._group.arms:
            raise unknown("loss", loss, self._group.arms)
        chosen = {r.run.seed: r.run for r in self._group.arms[loss].chosen}
        wanted = next(iter(chosen), None) if seed is None else seed
        if wanted is None or wanted not in chosen:
            raise unknown("seed", str(wanted), map(str, chosen))
        return self.out / "runs" / chosen[wanted].run_id

    def __repr__(self) -> str:
        return f"Comparison of {', '.join(self._group.arms)}\n{self.verdict}"

    def _repr_html_(self) -> str:
        ranked, figures = self._group.rankings, {}
        if self._group.primary in ranked:
            figures[f"{self._group.primary} of every loss"] = self.figure()
        if self._strips():
            figures["test images through every loss"] = self.reconstructions()
        return markup.render(
            _TEMPLATE,
            verdict=self.verdict.splitlines(),
            table=_html(matrices.comparison(self._group)[0]) if ranked else "",
            figures={
                name: base64.b64encode(_png(figure)).decode()
                for name, figure in figures.items()
            },
            page=self._summary.page,
            command=self.command,
        )

    def _strips(self) -> dict[str, np.ndarray]:
        """Pictures by loss, the originals first; only those that are stored."""
        rows: dict[str, np.ndarray] = {}
        originals = gallery.originals_of(self._summary.evidence, self._group)
        if originals is not None:
            rows["original"] = originals
        for loss, arm in self._group.arms.items():
            if arm.shown is not None and arm.shown.gallery is not None:
                rows[loss] = arm.shown.gallery
        count = min((len(images) for images in rows.values()), default=0)
        return {name: images[:count] for name, images in rows.items()}


def _html(table: pd.DataFrame) -> Markup:
    """A shown table, the stars of what is tied for best made bold."""
    rows = [
        [Markup("<b>{}</b>").format(c[2:-2]) if c.startswith("**") else c for c in row]
        for row in table.astype(str).itertuples(index=False)
    ]
    cells = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row)
        )
        for row in rows
    )
    heads = Markup("").join(Markup("<th>{}</th>").format(h) for h in table.columns)
    return Markup("<table><tr>{}</tr>{}</table>").format(heads, cells)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with style.applied():
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _shown(figure: Figure) -> Figure:
    """The figure, which a notebook shows though pyplot knows nothing of it."""
    shown: Any = figure
    shown._repr_png_ = lambda: _png(figure)
    return figure
