"""One HTML page over the claims and all studies: self-contained, opens from disk."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from lossjax import NUMERICS
from lossjax.suite.report import album, markup
from lossjax.suite.report.markup import Field
from lossjax.suite.reproduce import folder, ledger
from lossjax.suite.reproduce.claim import Settled
from lossjax.suite.reproduce.finding import Verdict
from lossjax.suite.reproduce.study import Study
from lossjax.suite.shipped import PUBLISHED

TITLE = "Published numbers, and what is found here"
CLAIM = """
{% for entry in entries %}
<div class="verdict" id="{{ entry.claim.key }}">
<p class="group">{{ entry.claim.key }} · {{ entry.claim.asked }}</p>
<h3>{{ entry.claim.says }}</h3>
<p class="headline">{{ entry.answer.verdict }}</p>
{% if entry.answered %}
<p>{{ emphasised(entry.answer.words) }}</p>
<details><summary>figure and numbers</summary>
<div class="figures wide">{{ figures[entry.answer.figure] }}</div>
<ul>{% for number in entry.numbers %}<li>{{ number }}</li>{% endfor %}</ul>
</details>
{% endif %}
</div>
{% endfor %}
"""
STUDY = """
<p>{{ study.what }}</p>
{% if small %}<p class="note">A small version: it shows that the study runs.</p>
{% endif %}
<p><strong>{{ counts }}</strong></p>
{% if age %}<p class="note">Numbers {{ age }}; this version's is {{ numerics }}.</p>
{% endif %}
<div class="figures wide">{{ figures }}</div>
{{ table }}
{{ findings }}
<details><summary>source, protocol, deviations</summary>
{% for words in paragraphs %}<p>{{ words }}</p>{% endfor %}
</details>
<dl class="facts">
<dt>run it</dt><dd><code>./run.sh reproduce {{ study.name }}</code></dd>
{% if study.links %}
<dt>source</dt>
<dd>{% for link in study.links %}<a href="{{ link }}">{{ link }}</a> {% endfor %}</dd>
{% endif %}
{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}
</dl>
"""
ABSENT = """
<p>{{ study.what }} <em>{{ study.source }}</em></p>
<p class="note">No rows yet: <code>./run.sh reproduce {{ study.name }}</code></p>
"""


def page(studies: Mapping[str, Study], out: Path) -> str:
    """The page; a study's rows are those in `out`, else what is stored of it."""
    summaries = {name: _summary(study, out) for name, study in studies.items()}
    entries = ledger.settled()
    sections = [
        _section("claims", "The answers", _claims(entries)),
        _section("overview", "All studies", _overview(studies, summaries)),
    ]
    for name, study in studies.items():
        found = summaries[name]
        if found is None:
            body = markup.render(ABSENT, study=study)
        else:
            body = _study(study, *found)
        sections.append(_section(name, name, body))
    answered = sum(entry.answered for entry in entries)
    stored = sum(found is not None for found in summaries.values())
    return markup.page(
        title=f"{TITLE} · lossjax",
        question=TITLE,
        lede=f"{stored} of {len(studies)} studies, {answered} of {len(entries)} "
        "questions answered. Every number is computed from stored rows.",
        out=str(out.name),
        sections=sections,
        symbols=Markup(""),
        footer="Rebuilt from stored rows by ./run.sh reproduce --all --from-stored; "
        "beside this page, for each study: rows, summary.json, tables/ and figures/.",
    )


def _section(key: str, title: str, body: Markup) -> dict[str, Any]:
    return {"key": key, "title": title, "body": body}


def _summary(study: Study, out: Path) -> tuple[dict[str, Any], Path] | None:
    """A study's summary and the folder of its figures."""
    for place, figures in (
        (out / study.name, out / study.name / "figures"),
        (PUBLISHED / study.name, PUBLISHED / study.name),
    ):
        if (place / folder.SUMMARY).is_file():
            text = (place / folder.SUMMARY).read_text(encoding="utf-8")
            return json.loads(text), figures
    return None


def _figure(path: Path, alt: str) -> Markup:
    return album.shown(path.read_text(encoding="utf-8"), alt)


def _claims(entries: Sequence[Settled]) -> Markup:
    figures = {
        entry.answer.figure: _figure(
            PUBLISHED / entry.answer.figure, f"figure of {entry.answer.figure}"
        )
        for entry in entries
        if entry.answered
    }
    return markup.render(
        CLAIM, entries=entries, figures=figures, emphasised=_emphasised
    )


def _emphasised(words: str) -> Markup:
    """An answer, whose only markup is stars around what is stressed."""
    return Markup(re.sub(r"\*(\w[^*]*)\*", r"<em>\1</em>", escape(words)))


def _overview(
    studies: Mapping[str, Study],
    summaries: Mapping[str, tuple[dict[str, Any], Path] | None],
) -> Markup:
    rows = []
    for name, study in studies.items():
        found = summaries[name]
        link = Markup('<a href="#{}"><code>{}</code></a>').format(name, name)
        verdict = "no rows yet" if found is None else _outcome(found[0])
        minutes = "" if found is None else f"{found[0]['made']['minutes']:g}"
        rows.append(
            [
                Field(link, name),
                Field(study.what, kind="wrap"),
                Field(study.source, kind="wrap"),
                Field(verdict, kind="wrap", head="findings"),
                Field(minutes, float(minutes) if minutes else "", "num", "minutes"),
            ]
        )
    return markup.table(
        "Every study, what it asks and how it came out; minutes on 2 CPU cores",
        ["study", "question", "source", "outcome", Field("minutes", kind="num")],
        rows,
        "stack",
    )


def _outcome(summary: Mapping[str, Any]) -> str:
    """The counts of findings, and the version of the numbers where it is an old one."""
    return "; ".join(filter(None, (counts(summary), folder.age(summary["made"]))))


def counts(summary: Mapping[str, Any]) -> str:
    """How many findings there are of each verdict."""
    verdicts = [f.get("verdict") for f in summary["findings"]]
    return ", ".join(f"{verdicts.count(v)} {v}" for v in Verdict if v in verdicts)


def _study(study: Study, summary: Mapping[str, Any], figures: Path) -> Markup:
    made = summary["made"]
    shown = [_figure(figures / f["file"], f["alt"]) for f in summary["figures"]]
    lines = summary["table"]
    facts = [
        ("minutes on 2 CPU cores", f"{made['minutes']:g}"),
        ("peak memory", f"{made['memory_mb']} MB" if "memory_mb" in made else ""),
        ("runs trained", f"{made['runs']:,}"),
        ("data", ", ".join((*study.needs, *study.wishes)) or "ships with the suite"),
        (
            "versions",
            ", ".join(f"{k} {v}" for k, v in made["provenance"]["versions"].items()),
        ),
    ]
    return markup.render(
        STUDY,
        study=study,
        small=made["quick"],
        counts=counts(summary),
        age=folder.age(made),
        numerics=NUMERICS,
        figures=Markup("").join(shown),
        table=markup.table(
            f"{study.name}: counted from the stored rows",
            [Field(name, kind="wrap") for name in lines[0]],
            [[Field(x, kind="wrap") for x in line.values()] for line in lines],
            "dense",
        ),
        findings=_findings(study.name, summary["findings"]),
        paragraphs=study.paragraphs,
        facts=[(name, value) for name, value in facts if value],
    )


def _findings(name: str, findings: Sequence[Mapping[str, Any]]) -> Markup:
    rows = []
    for found in findings:
        published = found.get("published")
        source = f"{published['source']} [{published['tag']}]" if published else ""
        notes = "; ".join(words for words in (found["reason"], source) if words)
        rows.append(
            [
                Field(found["what"], kind="wrap"),
                Field(found["expected"], kind="wrap", head="expected"),
                Field(_beside(found), found["ours"], "wrap", "reproduced"),
                Field(found.get("words", "measured"), kind="wrap", head="verdict"),
                Field(notes, kind="wrap", head="note"),
            ]
        )
    return markup.table(
        f"{name}: published or expected, and what is found; [S] seen in the source, "
        "[V] read off its figure, [C] computed, [R] recalled; nothing was expected of "
        "what is only measured. Drawn: the published number as a line, in grey what is "
        "accepted around it, ours as a dot with its interval",
        [
            "finding",
            "published or expected",
            "reproduced",
            "verdict",
            "reason, source",
        ],
        rows,
        "stack",
    )


def _beside(found: Mapping[str, Any]) -> Markup:
    """Ours, and drawn on the published number with what is accepted around it."""
    published, ours = found.get("published", {}), found.get("number", {})
    shown = Markup("{}").format(found["ours"])
    if "value" not in published or "center" not in ours:
        return shown
    center = ours["center"]
    ends = ours.get("low", center), center, ours.get("high", center)
    return shown + markup.accepted(published["value"], published["delta"], *ends)
