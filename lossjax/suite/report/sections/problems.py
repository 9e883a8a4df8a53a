"""What is missing, damaged, failed or diverged: named, never dropped."""

from markupsafe import Markup

from lossjax.suite.report import markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.store.results import Result
from lossjax.suite.wording import count

TEMPLATE = """
{% if not tables and not foreign %}
<p>No missing, failed or diverged runs: every run of the grid is stored, finished and
verified by its sha256.</p>
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
            Field(f"{group.name} / {arm.loss}"),
            Field(len(arm.missing), len(arm.missing), "num"),
            Field(_listed({run.learning_rate for run in arm.missing})),
            Field(_listed({run.seed for run in arm.missing})),
        ]
        for group, arm in evidence.arms()
        if arm.missing
    ]
    if missing:
        tables.append(
            markup.table(
                "Missing runs; ./run.sh sweep with the same config trains them",
                ["arm", Field("runs", kind="num"), "learning rates", "seeds"],
                missing,
            )
        )
    lost = [
        [
            Field(f"{group.name} / {arm.loss}"),
            Field(_listed({seed.seed for seed in arm.seeds if seed.chosen is None})),
        ]
        for group, arm in evidence.arms()
        if arm.lost and not arm.missing
    ]
    if lost:
        tables.append(
            markup.table(
                "Failed seeds: none of their learning rates survived",
                ["arm", "seeds"],
                lost,
            )
        )
    for status, caption in (
        ("failed", "Failed runs, with what they said"),
        ("diverged", "Diverged runs, frozen at their last finite step"),
    ):
        rows = [
            _row(group, result)
            for group, arm in evidence.arms()
            for result in arm.status(status)
        ]
        if rows:
            heads = ["arm", "learning rate", "seed", "what happened"]
            tables.append(markup.table(caption, heads, rows))
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


def _listed(values: set[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values))


def _row(group: Group, result: Result) -> list[Field]:
    said = result.message
    if result.status == "diverged":
        said = f"diverged at step {result.diverged_step}"
    run = result.run
    name = f"{group.name} / {run.loss}"
    return [
        Field(name, name),
        Field(f"{run.learning_rate:g}", run.learning_rate, "num"),
        Field(run.seed, run.seed, "num"),
        Field(said, said),
    ]
