"""What is missing, damaged, failed or diverged: named, never dropped."""

from markupsafe import Markup

from lossjax.suite.report import markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.markup import Field
from lossjax.suite.store.results import Result
from lossjax.suite.wording import count

TEMPLATE = """
{% if not tables and not foreign %}
<p>None: every run of the grid is stored, finished and verified by its sha256.</p>
{% endif %}
{% for table in tables %}{{ table }}{% endfor %}
{% if foreign %}
<p>{{ foreign }} under the same directory {{ "is" if one else "are" }} not in the
current grid and not used.</p>
{% endif %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    tables = []
    missing = [
        [
            Field(f"{group.name} / {cell.loss}"),
            Field(len(cell.plan.pending), len(cell.plan.pending), "num"),
            Field(cell.plan.pending[0].stage),
            Field(
                ", ".join(sorted({f"{r.learning_rate:g}" for r in cell.plan.pending}))
            ),
        ]
        for group, cell in evidence.cells()
        if cell.plan.pending
    ]
    if missing:
        tables.append(
            markup.table(
                "Missing runs; ./run.sh sweep with the same config trains them",
                ["cell", Field("runs", kind="num"), "stage", "learning rates"],
                missing,
            )
        )
    for status, caption in (
        ("failed", "Failed runs, with what they said"),
        ("diverged", "Diverged runs, frozen at their last finite step"),
    ):
        if results := evidence.status(status):
            tables.append(
                markup.table(
                    caption,
                    ["cell", "stage", "learning rate", "seed", "what happened"],
                    [_row(result) for result in results],
                )
            )
    if evidence.damaged:
        tables.append(
            markup.table(
                "Damaged files, counted as missing",
                ["file", "what is wrong"],
                [
                    [Field(path, path), Field(wrong, wrong)]
                    for path, wrong in evidence.damaged.items()
                ],
            )
        )
    foreign = count(len(evidence.foreign), "stored run") if evidence.foreign else ""
    return markup.render(
        TEMPLATE, tables=tables, foreign=foreign, one=len(evidence.foreign) == 1
    )


def _row(result: Result) -> list[Field]:
    run = result.run
    said = result.message
    if result.status == "diverged":
        said = f"diverged at step {result.diverged_step}"
    cell = f"{run.dataset} / {run.model} / {run.loss}"
    return [
        Field(cell, cell),
        Field(run.stage, run.stage),
        Field(f"{run.learning_rate:g}", run.learning_rate, "num"),
        Field(run.seed, run.seed, "num"),
        Field(said, said),
    ]
