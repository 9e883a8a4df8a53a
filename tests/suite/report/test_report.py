"""The report of a small synthetic sweep: exact words, exact files, whole or nothing."""

import base64
import csv
import dataclasses
import errno
import html.parser
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stored_sweeps
from PIL import Image

from lossjax.suite.cli.errors import UserError
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.config import Sweep
from lossjax.suite.report import console, markup
from lossjax.suite.report import verdict as words
from lossjax.suite.report.__main__ import main
from lossjax.suite.report.build import build, swap
from lossjax.suite.report.evidence import Evidence, read
from lossjax.suite.report.sections import SECTIONS, response
from lossjax.suite.report.tables import forms
from lossjax.suite.store import ownership, results
from lossjax.suite.store.results import Result

ROOT = Path(__file__).parents[3]
SWEEP = Sweep(
    datasets=("digits", "patches"),
    losses=tuple(stored_sweeps.LOSSES),
    learning_rates=(1e-3, 3e-3, 1e-2),
    train_steps=200,
)
ATTACK = "<script>alert(1)</script> & co"


def lose_two(result: Result) -> Result:
    """A failed seed of mae on patches (diverged) and of huber on digits (failed)."""
    run = result.run
    if (run.dataset, run.loss, run.seed) == ("patches", "mae", 3):
        curve = {name: values[:6] for name, values in result.curve.items()}
        return dataclasses.replace(
            result, status="diverged", diverged_step=123, curve=curve
        )
    if (run.dataset, run.loss, run.seed) == ("digits", "huber(delta=0.05)", 5):
        return Result(run, "failed", message=ATTACK)
    return result


def lose_an_arm(result: Result) -> Result | None:
    """As above, and mse on patches was never trained beyond its first rate."""
    run = result.run
    if (run.dataset, run.loss) == ("patches", "mse") and run.learning_rate > 1e-3:
        return None
    return lose_two(result)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    stored_sweeps.write(out, SWEEP, lose_two)
    build(out)
    return out


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("holed")
    stored_sweeps.write(out, SWEEP, lose_an_arm)
    build(out)
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(whole, tmp_path / "out"))


def nothing_else(out: Path) -> bool:
    """Whether what a sweep writes is all that there is."""
    return {path.name for path in out.iterdir()} == {"report", "runs", "sweep.json"}


def printed(out: Path) -> str:
    """What a user reads in a pipe, the machine's path replaced."""
    text = io.StringIO()
    summary = build(out)
    shown = dataclasses.replace(summary, out=Path("DIR"))
    console.render(shown, Terminal(file=text, width=80))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def files(report: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(report)): path.read_bytes()
        for path in sorted(report.rglob("*"))
        if path.is_file()
    }


# Mean mse of bce: 0.010 - 0.6e-4; half interval 2.262 2.066e-4 / 3.162.
WHOLE = """\
digits / conv_ae: mse on test images, lower is better (* tied for best)

 loss                      mse     95 % interval    n    rate   word
 ────────────────────────────────────────────────────────────────────────────
 * bce                 0.00994   0.00979 0.01009   10   0.003   best
 * mse                 0.00995   0.00980 0.01010   10   0.003   equivalent
   mae                 0.01394   0.01379 0.01409   10   0.003   worse
   huber(delta=0.05)                                9   0.003   1 seed failed
"""


def test_a_terminal_of_80_columns_shows_all(whole: Path) -> None:
    text = printed(whole)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.startswith(WHOLE)
    assert (
        "   mae                                              9   0.003   1 seed failed"
        in text
    )


VERDICT = """\
digits / conv_ae: Lowest mse: bce, mse (trained on it) (tied, no difference that \
matters).
digits / conv_ae: Highest ssim: bce, mse (tied, no difference that matters).
digits / conv_ae: Losses that no other beats on every metric: bce.
digits / conv_ae: Not known whether 200 steps are enough: --config.budgets=100,200 \
tells.
digits / conv_ae: huber(delta=0.05) has no surviving run on 1 of 10 seeds, so it is \
never tied for best.
digits / conv_ae: huber(delta=0.05) failed in 3 of 30 runs; it said: \
<script>alert(1)</script> & co
patches / conv_ae: Lowest mse: """


def test_the_verdict_in_words(whole: Path) -> None:
    verdict = json.loads((whole / "report/summary.json").read_text())["verdict"]
    assert verdict.startswith(VERDICT)
    assert "patches / conv_ae: mae diverged in 3 of 30 runs." in verdict
    assert verdict.endswith(words.COVERS)


def test_summary_is_the_contract(whole: Path) -> None:
    summary = json.loads((whole / "report/summary.json").read_text())
    assert list(summary) == ["schema", "verdict", "datasets", "mean_ranks"]
    assert summary["schema"] == 2
    assert list(summary["datasets"]) == ["digits", "patches"]
    metrics = summary["datasets"]["patches"]["models"]["conv_ae"]["metrics"]
    assert list(metrics) == ["mse", "psnr", "ssim"]  # no labels: no knn_accuracy
    assert metrics["mse"]["direction"] == "lower"
    assert metrics["psnr"]["direction"] == "higher"
    ranking = metrics["mse"]["ranking"]
    assert [row["loss"] for row in ranking] == [
        "bce",
        "mse",
        "huber(delta=0.05)",
        "mae",
    ]
    # Seeds 0 to 9 wiggle by (seed % 7 - 3) * 1e-4: -3 -2 -1 0 1 2 3 -3 -2 -1.
    assert ranking[0]["center"] == pytest.approx(0.010 - 0.6e-4)
    assert ranking[2]["center"] == pytest.approx(0.012 - 0.6e-4)
    assert ranking[0]["low"] < ranking[0]["center"] < ranking[0]["high"]
    assert ranking[3] == {
        "loss": "mae",
        "center": None,
        "low": None,
        "high": None,
        "n": 9,
        "lost": 1,
        "diverged": 3,
        "failed": 0,
        "best_set": False,
        "word": "worse",
        "behind": None,
        "p": None,
    }
    assert [row["word"] for row in ranking] == ["best", "equivalent", "worse", "worse"]
    assert metrics["psnr"]["derived_from"] == "mse"
    assert metrics["mse"]["derived_from"] is None
    model = summary["datasets"]["patches"]["models"]["conv_ae"]
    assert model["settled"] == "not known" and model["pareto"] == ["bce"]
    assert [row["best_set"] for row in ranking] == [True, True, False, False]


def test_rows_hold_every_run_and_test_scores_of_the_chosen_alone(whole: Path) -> None:
    with open(whole / "report/rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("dataset", "model", "loss", "learning_rate", "seed", "chosen"),
        *("status", "diverged_step", "latent_dim", "train_steps"),
        *(f"val_{name}" for name in ("mse", "knn_accuracy", "psnr", "ssim")),
        *(f"test_{name}" for name in ("mse", "knn_accuracy", "psnr", "ssim")),
        *("diag_blur", "diag_residual_1", "diag_residual_2"),
    ]
    assert len(rows) == 2 * 4 * 3 * 10
    chosen = [row for row in rows if row["chosen"] == "True"]
    assert len(chosen) == 2 * 4 * 10 - 2
    assert {row["learning_rate"] for row in chosen} == {"0.003"}
    others = [row for row in rows if row["chosen"] == "False"]
    assert len(others) == len(rows) - len(chosen)
    assert not any(row["test_mse"] or row["test_psnr"] for row in others)
    assert all(row["val_mse"] for row in others if row["status"] == "ok")
    first = chosen[0]
    assert float(first["test_mse"]) == 0.010 - 3e-4  # to the last bit
    assert [float(first[f"diag_residual_{k}"]) for k in (1, 2)] == [0.5, 1 / 3]
    lost = [(row["status"], row["diverged_step"]) for row in rows]
    assert lost.count(("diverged", "123")) == 3
    assert lost.count(("failed", "")) == 3


HOLED = """\
No verdict yet: 20 runs of the grid missing.
missing: patches / conv_ae / mse: 20 runs"""


def test_an_incomplete_grid_is_named_not_ranked(holed: Path) -> None:
    summary = json.loads((holed / "report/summary.json").read_text())
    assert summary["verdict"] == HOLED
    models = summary["datasets"]["patches"]["models"]
    assert models["conv_ae"]["metrics"] == {}
    page = (holed / "report/index.html").read_text()
    assert "No verdict yet: 20 runs of the grid missing." in page
    assert "patches / conv_ae / mse" in page
    assert "No verdict yet" in printed(holed)


def test_a_damaged_file_is_named_and_counts_as_missing(out: Path) -> None:
    path = sorted((out / "runs").glob("*/result.json"))[0]
    path.write_text(path.read_text().replace('"val_mse": 0.0', '"val_mse": 0.1'))
    summary = build(out)
    name = str(path.relative_to(out))
    assert summary.verdict.startswith("No verdict yet: ")
    assert list(summary.evidence.damaged) == [name]
    assert "its sha256 does not match" in summary.evidence.damaged[name]
    assert name in (out / "report/index.html").read_text()
    assert f"damaged, counted as missing: {name}" in printed(out)


def test_runs_outside_the_grid_change_nothing_but_their_count(
    out: Path, whole: Path
) -> None:
    stored = next(iter(results.load(whole).results.values()))
    other = dataclasses.replace(stored.run, seed=77)
    results.write_result(out, dataclasses.replace(stored, run=other))
    assert build(out).evidence.foreign == (other,)
    ours, theirs = files(out / "report"), files(whole / "report")
    assert {name for name in ours if ours[name] != theirs[name]} == {"index.html"}
    assert "1 stored run under the same directory is not in" in (
        out / "report/index.html"
    ).read_text().replace("\n", " ")


def test_two_builds_are_equal_bytes(out: Path, whole: Path, tmp_path: Path) -> None:
    """Another directory, locale, clock, hash seed and matplotlibrc; and no jax."""
    shutil.rmtree(out / "report")
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 20\n")
    code = (
        "import sys; from lossjax.suite.report.__main__ import main;"
        f"status = main(['--out={out}']);"
        "assert not {'jax', 'flax', 'tensorflow'} & set(sys.modules);"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        env=os.environ
        | {
            "LC_ALL": "C",
            "TZ": "Asia/Tokyo",
            "PYTHONHASHSEED": "7",
            "MATPLOTLIBRC": str(tmp_path),
            "PYTHONUTF8": "0",
            "PYTHONIOENCODING": "utf-8",
        },
    )
    assert done.returncode == 0, done.stderr.decode()
    again, before = files(out / "report"), files(whole / "report")
    assert set(again) == set(before)
    # The page's commands name the directory; nothing else may differ.
    page = again["index.html"].decode().replace(str(out), str(whole))
    again["index.html"] = page.encode()
    assert [name for name in again if again[name] != before[name]] == []


def test_a_build_that_breaks_leaves_the_old_report(
    out: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lossjax.suite.report.build._page", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(out)
    assert files(out / "report") == files(whole / "report")
    assert nothing_else(out)


def test_a_report_that_cannot_take_its_place_leaves_the_old_one(
    out: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails between the two renames."""
    replace = os.replace

    failed: list[Path] = []

    def fail(source: Path, target: Path) -> None:
        if target == out / "report" and not failed:
            failed.append(source)
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="cannot write the report"):
        build(out)
    assert files(out / "report") == files(whole / "report")
    assert nothing_else(out)


def test_a_damaged_report_is_made_again(out: Path, whole: Path) -> None:
    """One byte of the old one's rows, which are read before it goes."""
    rows = out / "report" / "rows.csv"
    rows.write_bytes(b"\xff" + rows.read_bytes()[1:])
    assert main([f"--out={out}"]) == 0
    fresh, before = files(out / "report"), files(whole / "report")
    assert fresh["rows.csv"] == before["rows.csv"] and fresh.keys() == before.keys()


def earlier(report: Path) -> None:
    """As it was before reports had a list of their files."""
    (report / "files.json").unlink()


@pytest.mark.parametrize("change", [None, earlier])
@pytest.mark.parametrize(
    "name", ["thesis.tex", "tables/mine.csv", "figures/mine.svg", "chapters/", "tables"]
)
def test_a_file_of_the_users_is_never_replaced(
    out: Path, tmp_path: Path, name: str, change: Callable[[Path], None] | None
) -> None:
    if change:
        change(out / "report")
    mine = out / "report" / name
    if name == "tables":
        mine.rename(tmp_path / "elsewhere")
        mine.symlink_to(tmp_path / "elsewhere")
    elif name.endswith("/"):
        mine.mkdir()
    else:
        mine.write_text("mine")
    before = files(out)
    with pytest.raises(UserError) as refusal:
        main([f"--out={out}"])
    assert f"{mine} was not written by this suite" in str(refusal.value)
    assert files(out) == before
    assert nothing_else(out)


def test_a_users_file_that_comes_while_it_is_built_is_not_replaced(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ownership.record_report

    def late(directory: Path) -> None:
        write(directory)
        (out / "report" / "thesis.tex").write_text("mine")

    monkeypatch.setattr("lossjax.suite.report.build.ownership.record_report", late)
    with pytest.raises(UserError, match="thesis.tex"):
        build(out)
    assert (out / "report" / "thesis.tex").read_text() == "mine"


def test_a_report_of_an_earlier_version_is_replaced(out: Path, whole: Path) -> None:
    earlier(out / "report")
    assert main([f"--out={out}"]) == 0
    assert files(out / "report").keys() == files(whole / "report").keys()


class Page(html.parser.HTMLParser):
    """Everything in a page that could fetch, name or clash."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.unnamed: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links += [
            values[n] for n in ("src", "href", "srcset", "action") if n in values
        ]
        if "id" in values:
            self.ids.append(values["id"])
        picture = tag == "img" or values.get("role") == "img"
        if picture and len(values.get("alt", values.get("aria-label", ""))) < 12:
            self.unnamed.append(tag)


def test_the_page_stands_alone(whole: Path) -> None:
    text = (whole / "report/index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert [x for x in page.links if not x.startswith(("#", "data:"))] == []
    assert {x[1:] for x in page.links if re.fullmatch("#[a-z]+", x)} <= set(page.ids)
    assert "url(http" not in text and "@import" not in text
    assert page.unnamed == []
    absent = ("budgets", "response", "measures", "samples", "interpolations", "map")
    absent += ("pixels", "advice")  # all are bytes that count; a sweep, no advice
    every = [section.key for section in SECTIONS]
    shown = [key for key in every if key not in absent]  # one budget, no dial, no vae
    assert [name for name in page.ids if name in every] == shown
    own = [name for name in page.ids if not re.fullmatch("[mp][0-9a-f]{10}", name)]
    assert sorted({x for x in own if own.count(x) > 1 and "-" not in x}) == []
    assert len(text) < 8_000_000


def test_over_datasets_ranks_are_averaged(whole: Path, holed: Path) -> None:
    text = (whole / "report/index.html").read_text(encoding="utf-8")
    assert "2 datasets cannot separate any two of these losses" in text
    summary = json.loads((whole / "report/summary.json").read_text())
    by_mse = summary["mean_ranks"]["conv_ae"]["mse"]
    # bce is first on both; a seed of huber is lost on digits, of none on patches.
    assert by_mse["bce"] == {"center": 1, "low": 1, "high": 1}
    assert by_mse["huber(delta=0.05)"] == {"center": 3.5, "low": 3, "high": 4}
    incomplete = (holed / "report/index.html").read_text(encoding="utf-8")
    assert 'id="leaderboard"' not in incomplete


def test_words_of_a_run_cannot_become_markup(whole: Path) -> None:
    text = (whole / "report/index.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text
    assert ATTACK not in text
    assert text.count("<script>") == 1


def test_the_page_says_what_was_not_scored(whole: Path) -> None:
    text = (whole / "report/index.html").read_text()
    assert "knn_accuracy is not scored" in text
    assert "diverged at step 123" in text


def test_every_figure_and_table_is_written_in_every_form(whole: Path) -> None:
    names = set(files(whole / "report"))
    for stem in ("ranking", "learning", "rates"):
        for dataset in ("digits", "patches"):
            for form in ("svg", "png"):
                assert f"figures/{stem}-{dataset}-conv_ae.{form}" in names
    for stem in ("ranking", "rates", "comparison-digits-conv_ae"):
        assert {f"tables/{stem}.{form}" for form in ("md", "tex", "csv")} <= names


def test_latex_is_booktabs_and_escaped(whole: Path) -> None:
    tables = whole / "report/tables"
    tex = (tables / "comparison-patches-conv_ae.tex").read_text()
    assert all(rule in tex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"\textbf{0.90030 $\pm$ 0.00074}" in tex
    assert "1 seed failed" in tex and r"\footnotesize Bold: tied for best" in tex
    ranking = (tables / "ranking.tex").read_text()
    assert r"conv\_ae" in ranking and not re.search(r"[^\\]_", ranking)
    assert ranking.count("{") == ranking.count("}")


def test_latex_escapes_every_special_character(tmp_path: Path) -> None:
    cells = {"a_b": ["**1 ± 2**", "x**2"], "↓": ["%&#${}", "~^\\"]}
    frame = pd.DataFrame(cells)
    forms.write(tmp_path / "odd", frame, frame)
    lines = [
        [cell.strip() for cell in line.removesuffix(r"\\").split(" & ")]
        for line in (tmp_path / "odd.tex").read_text().splitlines()
        if line.endswith(r"\\")
    ]
    assert lines == [
        [r"a\_b", r"$\downarrow$"],
        [r"\textbf{1 $\pm$ 2}", r"\%\&\#\$\{\}"],
        ["x**2", r"\textasciitilde{}\^{}\textbackslash{}"],
    ]
    forms.write(tmp_path / "empty", frame[:0], frame[:0])
    assert r"\begin{tabular}{ll}" in (tmp_path / "empty.tex").read_text()


def test_markdown_of_the_comparison(whole: Path) -> None:
    text = (whole / "report/tables/comparison-digits-conv_ae.md").read_text()
    lines = text.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "loss",
        "mse ↓",
        "psnr ↑, from mse",
        "ssim ↑",
    ]
    assert lines[2].split("|")[4].strip() == "**0.90030 ± 0.00074**"
    assert lines[4].split("|")[4].strip() == "0.88030 ± 0.00074"
    assert lines[-1] == (
        "Bold: tied for best by the paired test, not by overlapping intervals."
    )


def dialled(out: Path, centre: float) -> str:
    """The page of power(g) from -0.5 to 2, mse lowest at g = `centre`."""
    values = (-0.5, 0.0, 0.5, 1.0, 2.0)
    names = {f"power(g={g:g})" if g != 0.5 else "power": g for g in values}
    sweep = Sweep(losses=("mse", *names), learning_rates=(3e-3,))

    def score(result: Result) -> Result:
        g = names.get(result.run.loss, 9.0)
        wiggle = (result.run.seed * 7 % 10) * 1e-6 * (g + 1)
        value = 0.01 + 0.001 * abs(g - centre) + wiggle
        return dataclasses.replace(
            result, metrics={f"{split}_mse": value for split in ("val", "test")}
        )

    places = stored_sweeps.LOSSES | dict.fromkeys(names, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_sweeps, "LOSSES", places)
        hypers = {name: {"g": g} for name, g in names.items()} | {"mse": {}}
        described = stored_sweeps.describe(sweep) | {"hypers": hypers}
        stored_sweeps.write(out, sweep, score, described)
    build(out)
    return (out / "report/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("centre", "words"),
    [
        (0.5, "mse, lower is better: best at 0.5, alone."),
        (0.25, "best at 0; 0 to 0.5 tied for best"),
        (2.0, "mse, lower is better: best at 2 (edge of the scan), alone."),
    ],
)
def test_a_family_is_shown_as_a_dial(tmp_path: Path, centre: float, words: str) -> None:
    page = dialled(tmp_path, centre)
    assert 'id="response"' in page and words in page
    figures = tmp_path / "report/figures"
    assert (figures / "response-digits-conv_ae-power-mse.svg").is_file()


def test_too_few_seeds_are_said_so(tmp_path: Path) -> None:
    few = dataclasses.replace(SWEEP, datasets=("digits",), seeds=(0, 1, 2))
    stored_sweeps.write(tmp_path, few)
    verdict = build(tmp_path).verdict
    assert (
        "too few seeds: with 3 seeds no loss can be significantly worse than the best "
        "(needed: 7)." in verdict
    )
    assert "* " not in printed(tmp_path)[100:]


def test_one_rate_one_seed_one_loss(tmp_path: Path) -> None:
    single = Sweep(losses=("bce",), learning_rates=(3e-3,), seeds=(0,))
    stored_sweeps.write(tmp_path, single)
    verdict = build(tmp_path).verdict
    assert "Lowest mse: bce alone, 0.0097; nothing to compare with." in verdict
    assert "digits / conv_ae: Lowest mse: bce alone" in printed(tmp_path)


def test_nothing_finished(tmp_path: Path) -> None:
    def diverge(result: Result) -> Result:
        return dataclasses.replace(
            result,
            status="diverged",
            diverged_step=1,
            metrics={},
            curve={"step": [20.0], "validation_mse": [math.nan]},
            validation_loss=math.nan,
        )

    stored_sweeps.write(tmp_path, dataclasses.replace(SWEEP, seeds=(0, 1)), diverge)
    verdict = build(tmp_path).verdict
    assert verdict.splitlines()[:2] == [
        "digits / conv_ae: no loss finished a seed, so there is nothing to compare.",
        "digits / conv_ae: bce has no surviving run on 2 of 2 seeds, so it is never "
        "tied for best.",
    ]
    assert "bce, mse, mae, huber(delta=0.05) diverged in 6 of 6 runs." in verdict
    assert "edge" not in verdict


def test_a_loss_that_draws_one_picture_is_named(tmp_path: Path) -> None:
    def flatten(result: Result) -> Result:
        if result.run.loss == "mae" and result.gallery is not None:
            flat = np.full_like(result.gallery, 90)
            return dataclasses.replace(result, gallery=flat)
        return result

    stored_sweeps.write(
        tmp_path, dataclasses.replace(SWEEP, datasets=("digits",)), flatten
    )
    named = [line for line in build(tmp_path).verdict.splitlines() if "same" in line]
    assert named == [
        "digits / conv_ae: mae reconstructed every image of the gallery as the same "
        "picture: look at it before believing a score."
    ]


def test_nothing_stored_yet(tmp_path: Path) -> None:
    stored_sweeps.write(tmp_path, SWEEP, lambda result: None)
    assert build(tmp_path).verdict.startswith("No verdict yet: 240 runs of the grid")
    assert (tmp_path / "report/index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out=DIR/absent"], "no such directory; ./run.sh sweep writes it"),
        (["--out=DIR"], "holds no sweep.json"),
        (["--out=DIR/file"], "no such directory"),
        (["--out=DIR/garbage"], "garbage/sweep.json: "),
        (["--out=DIR/old"], "sweep.json is of another version"),
        (["--out=DIR", "more"], "stray argument 'more'"),
        (["--outt=DIR"], "unknown flag '--outt': did you mean '--out'?"),
        (["--out"], "out"),
        ([], "--out is missing"),
    ],
)
def test_bad_usage_names_what_to_mend(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage/sweep.json").write_text("{")
    results.write_sweep(tmp_path / "old", {"config": {"lossses": []}})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        main([word.replace("DIR", str(tmp_path)) for word in arguments])
    assert said in str(caught.value).replace(str(tmp_path), "DIR")
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_usage_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lossjax.suite.cli", "report", f"--out={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "sweep.json" in done.stderr


def test_the_verb_prints_the_comparison_and_succeeds(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--out={whole}"]) == 0
    assert "digits / conv_ae: Lowest mse: bce, mse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bands", "shown"), [(1, [0]), (2, [0]), (3, [0, 1, 2]), (12, [0, 6, 11])]
)
def test_a_strip_holds_every_image_bit_for_bit(bands: int, shown: list[int]) -> None:
    """Side by side with a transparent gap; grey, colour, and three of many bands."""
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, bands), np.uint8)
    text = str(markup.strip(images, 'three "images"'))
    assert 'alt="three &#34;images&#34;"' in text
    data = text.split("base64,")[1].split('"')[0]
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    images, channels = images[..., shown], len(shown)
    assert found.shape == (8, 3 * 8 + 2, channels + 1)
    for i, image in enumerate(images):
        left = 9 * i
        np.testing.assert_array_equal(found[:, left : left + 8, :channels], image)
        assert (found[:, left : left + 8, channels] == 255).all()
    assert (found[:, 8, channels] == 0).all()


@pytest.mark.parametrize(
    ("hypers", "found"),
    [
        ([{"delta": 0.1}, {"delta": 0.3}, {"delta": 0.2}], [0.1, 0.2, 0.3]),
        ([{"delta": 0.1}, {"delta": 0.3}], None),  # two points are no curve
        ([{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 1}], None),  # two dials
        ([{"a": 1}, {"a": 1}, {"a": 1}], None),  # none
    ],
)
def test_a_dial_is_one_argument_with_three_values(
    whole: Path, hypers: list[dict[str, float]], found: list[float] | None
) -> None:
    losses = [f"huber(n={i})" for i in range(len(hypers))]
    described = {"losses": losses, "hypers": dict(zip(losses, hypers, strict=True))}
    evidence = dataclasses.replace(read(whole), description=described)
    dials = list(response.dials(evidence))
    assert [list(dial.losses) for dial in dials] == ([found] if found else [])


def test_reports_that_are_put_in_place_at_once_are_whole(tmp_path: Path) -> None:
    """Eight processes of one grid end at the same moment; each has a whole report."""

    def publish(writer: int) -> None:
        for turn in range(60):
            fresh = tmp_path / f".report.{writer}.{turn}"
            fresh.mkdir()
            names = ["index.html", f"figure{writer}"]  # not all have the same files
            for name in names:
                (fresh / name).write_text(f"{writer} {turn}")
            ownership.record_report(fresh)
            swap(fresh, tmp_path / "report")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(8)))
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report" / "index.html").read_text()


def test_the_last_of_two_reports_knows_every_run(
    out: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that read the store before another ended must not have the last word."""
    aside = tmp_path / "aside"
    late = sorted(out.glob("runs/*"))[:3]
    aside.mkdir()
    for folder in late:
        folder.rename(aside / folder.name)
    stale = read(out)
    for folder in late:
        (aside / folder.name).rename(folder)
    answers = [stale]

    def slow(place: Path) -> Evidence:
        return answers.pop() if answers else read(place)

    monkeypatch.setattr("lossjax.suite.report.build.read", slow)
    summary = build(out)
    assert not summary.evidence.missing
    for part in ("rows.csv", "summary.json"):
        fresh, before = (place / "report" / part for place in (out, whole))
        assert fresh.read_bytes() == before.read_bytes()
