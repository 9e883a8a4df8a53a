"""`verify` passes a true report and names each planted corruption."""

import csv
import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stored_sweeps

from lossjax.suite import protocol
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report import evidence
from lossjax.suite.report.build import build
from lossjax.suite.shipped import ROOT
from lossjax.suite.store import results as store
from lossjax.suite.store.results import Result
from lossjax.suite.sweep.source import source_hash
from lossjax.suite.verify import __main__ as verify
from lossjax.suite.verify import agreement
from lossjax.suite.verify.verification import problems

SWEEP = Sweep(
    losses=("bce", "mae"),
    learning_rates=(3e-3,),
    seeds=tuple(range(6)),
)


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("true")
    stored_sweeps.write(out, SWEEP, by_this_code)
    build(out)
    return out


def by_this_code(result: Result) -> Result:
    made = dict(result.provenance) | {"source": source_hash()}
    return dataclasses.replace(result, provenance=made)


@pytest.fixture
def copy(true: Path, tmp_path: Path) -> Path:
    out = tmp_path / "out"
    shutil.copytree(true, out)
    return out


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        text = (out / path).read_text(encoding="utf-8")
        assert old in text
        (out / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def first(out: Path) -> Result:
    """mae's run of seed 2."""
    results = store.load(out).results.values()
    return next(r for r in results if (r.run.loss, r.run.seed) == ("mae", 2))


def forge(**changes: object) -> Callable[[Path], None]:
    """A result replaced by another one with a valid sha256."""

    def change(out: Path) -> None:
        store.write_result(out, dataclasses.replace(first(out), **changes))  # type: ignore[arg-type]

    return change


def flip_a_bit(out: Path) -> None:
    path = out / "runs" / first(out).run.run_id / "result.json"
    data = bytearray(path.read_bytes())
    data[data.index(b"0.0") + 2] ^= 1
    path.write_bytes(data)


def lose_a_run(out: Path) -> None:
    shutil.rmtree(out / "runs" / first(out).run.run_id)


def lose_a_file(out: Path) -> None:
    (out / "runs" / first(out).run.run_id / "result.json").unlink()


def other_numerics(out: Path) -> None:
    result = first(out)
    fixed = dict(result.run.fixed) | {"numerics": 2}
    run = dataclasses.replace(result.run, fixed=fixed)
    store.write_result(out, dataclasses.replace(result, run=run))


def other_precision(out: Path) -> None:
    result = first(out)
    fixed = dict(result.run.fixed) | {"precision": "bfloat16"}
    run = dataclasses.replace(result.run, fixed=fixed)
    store.write_result(out, dataclasses.replace(result, run=run))


def other_classes(out: Path) -> None:
    result = first(out)
    assert result.kept is not None and result.kept.classes is not None
    classes = np.full_like(result.kept.classes, 0.1)
    forge(kept=dataclasses.replace(result.kept, classes=classes))(out)


def flat_classes(out: Path) -> None:
    result = first(out)
    assert result.kept is not None and result.kept.classes is not None
    classes = result.kept.classes[:, 0]
    forge(kept=dataclasses.replace(result.kept, classes=classes))(out)


def cut_a_picture(out: Path) -> None:
    path = out / "report/figures/ranking-digits-conv_ae.png"
    path.write_bytes(path.read_bytes()[:-20])


def drop_a_table(out: Path) -> None:
    (out / "report/tables/ranking.tex").unlink()


def add_a_table(out: Path) -> None:
    (out / "report/tables/better.md").write_text("| bce wins |\n")


def restate(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Another number or word in summary.json, of mae by mse."""

    def changed(out: Path) -> None:
        path = out / "report/summary.json"
        summary = json.loads(path.read_text())
        metrics = summary["datasets"]["digits"]["models"]["conv_ae"]["metrics"]
        change(metrics["mse"]["ranking"][1])
        path.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")

    return changed


@pytest.mark.parametrize(
    ("corrupt", "named"),
    [
        (flip_a_bit, "its sha256 does not match its content"),
        (lose_a_run, "digits / conv_ae / mae: 1 run missing"),
        (lose_a_file, "holds no result.json"),
        (other_numerics, "mixed NUMERICS: the sweep has 1"),
        (forge(provenance={"layout": "1 device"}), "mixed layout in one comparison"),
        (forge(kept=None, metrics={"test_mse": 0.5}), "report/rows.csv: line"),
        (forge(metrics={"test_mse": 0.5}), "its groups of test images give mse 0.01"),
        (other_classes, "its classes of test images give mse 0.1, its score is"),
        (flat_classes, "its classes of test images are ("),
        (other_precision, "mixed precision: the sweep has float32"),
        (edit("sweep.json", '"value": 0.01', '"value": 0.1'), "sweep.json: its sha256"),
        (
            restate(lambda mae: mae.update(center=mae["center"] * 1.001)),
            "metrics/mse/ranking/mae/center is 0.0139",
        ),
        (
            restate(lambda mae: mae.update(center=mae["center"] * 1.001)),
            "digits / conv_ae / mse / mae: center is 0.0139",
        ),
        (
            restate(lambda mae: mae.update(high=mae["high"] + 1e-6)),
            "digits / conv_ae / mse / mae: high is 0.014",
        ),
        (
            restate(lambda mae: mae.update(word="undecided")),
            "mae: word is 'undecided', recomputed 'worse'",
        ),
        (
            restate(lambda mae: mae.update(lost=1)),
            "mae: lost is 1, recomputed 0",
        ),
        (edit("report/rows.csv", ",0.0137,", ",0.0138,"), "val_mse: '0.0138', the"),
        (edit("report/tables/ranking.csv", ",6,", ",7,"), "n: '7', the stored runs"),
        (edit("report/tables/ranking.md", "best ", "beat "), "ranking.md: line"),
        (edit("report/index.html", "best", "worst"), "report/index.html: line"),
        (
            edit("report/figures/learning-digits-conv_ae.svg", "L ", "M "),
            "learning-digits-conv_ae.svg: line",
        ),
        (cut_a_picture, "ranking-digits-conv_ae.png: not the picture"),
        (drop_a_table, "report/tables/ranking.tex: missing"),
        (add_a_table, "report/tables/better.md: no part of this report"),
    ],
)
def test_a_corruption_is_named(
    copy: Path,
    corrupt: Callable[[Path], None],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    corrupt(copy)
    assert verify.main([f"--out={copy}"]) == 1
    said = capsys.readouterr().out
    assert named in said, said
    assert said.splitlines()[-1].endswith(("mismatch", "mismatches"))


def test_a_true_report_is_verified(
    true: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(true.rglob("*"))
    assert verify.main([f"--out={true}"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("verified: 12 stored runs and every number of ")
    assert sorted(true.rglob("*")) == before


def nudged(value: object, by: float) -> object:
    """What another processor could have written, where `by` is a few last bits."""
    if isinstance(value, float):
        return value * (1 + by)
    if isinstance(value, dict):
        return {key: nudged(item, by) for key, item in value.items()}
    return [nudged(item, by) for item in value] if isinstance(value, list) else value


def nudge_summary(out: Path, by: float) -> None:
    path = out / "report/summary.json"
    path.write_text(json.dumps(nudged(json.loads(path.read_text()), by)))


def nudge_table(out: Path, by: float) -> None:
    path = out / "report/tables/ranking.csv"
    table = list(csv.reader(path.read_text().splitlines()))
    place = table[0].index("behind_images_low")
    for row in table[1:]:
        row[place] = str(nudged(float(row[place]), by)) if row[place] else ""
    path.write_text("".join(",".join(row) + "\n" for row in table))


def nudge_drawings(out: Path, by: float) -> None:
    """The last of the digits that coordinates are written with."""
    step = 1e-6 if by < 1e-12 else 1e-3
    for path in (
        out / "report/index.html",
        out / "report/figures/learning-digits-conv_ae.svg",
    ):
        text, count = re.subn(
            r"L (\d+\.\d+) ",
            lambda match: f"L {float(match[1]) + step:.6f} ",
            path.read_text(encoding="utf-8"),
        )
        assert count
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("nudge", [nudge_summary, nudge_table, nudge_drawings])
def test_last_bits_of_another_processor_are_no_mismatch(
    copy: Path, nudge: Callable[[Path, float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    nudge(copy, 4e-15)
    assert verify.main([f"--out={copy}"]) == 0
    assert "computed numbers agree to a relative 1e-09" in capsys.readouterr().out
    nudge(copy, 1e-8)
    assert verify.main([f"--out={copy}"]) == 1
    assert "the stored runs give" in capsys.readouterr().out


def test_stored_scores_and_rates_are_equal_to_the_last_bit(copy: Path) -> None:
    edit("report/rows.csv", ",0.003,", ",0.0030000000000000005,")(copy)
    found = "\n".join(problems(copy))
    assert "bce / 0.0030000000000000005 / 0 / 8 / 1000 was not recomputed" in found
    assert "learning_rate: '0.0030000000000000005', the stored runs give" in found


@pytest.mark.parametrize(
    ("expected", "found"),
    [(3, 3.0), (True, 1), ("3", 3), ([1], [1, 2]), ({}, {"a": 1})],
)
def test_what_is_no_computed_number_must_be_equal(
    expected: object, found: object
) -> None:
    assert agreement.values(expected, expected) is None
    assert agreement.values(expected, found) is not None
    assert agreement.values(found, expected) is not None


INTERVALS = """
import numpy as np
from lossjax.suite.store.test_images import sizes
from lossjax.suite.report.imagewise import half_width
random = np.random.default_rng(0)
for images in range(280, 320):
    counts = sizes(images)
    print(half_width(random.uniform(size=len(counts)), counts).hex())
"""


def test_intervals_over_images_have_the_same_bits_on_every_processor() -> None:
    """OpenBLAS takes its kernels from the processor, or from this variable."""
    kernels = ("Prescott", "Haswell") if platform.machine() == "x86_64" else ("",)
    printed = {
        subprocess.run(
            [sys.executable, "-c", INTERVALS],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {"OPENBLAS_CORETYPE": kernel},
        ).stdout
        for kernel in kernels
    }
    assert len(printed) == 1


def test_other_computing_code_only_warns(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = first(copy)
    changed = dict(result.provenance) | {"source": "another"}
    store.write_result(copy, dataclasses.replace(result, provenance=changed))
    build(copy)
    assert verify.main([f"--out={copy}"]) == 0
    said = capsys.readouterr().out
    assert f"made 1 stored run, {result.run.run_id} one; ./run.sh sweep --ret" in said
    assert "2 versions of the computing code are mixed" in said


def test_an_error_in_the_code_of_the_report_is_no_secret(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in the report and in the one made again; what is recomputed tells."""

    def on_test(results: Sequence[Result], _: object) -> Result:
        return max(results, key=lambda one: one.run.learning_rate)

    for result in store.load(copy).results.values():
        run = dataclasses.replace(result.run, learning_rate=1e-2)
        worse = dataclasses.replace(result, run=run, validation_loss=1.0, kept=None)
        store.write_result(copy, worse)
    config = SWEEP.to_json() | {"learning_rates": [3e-3, 1e-2]}
    store.write_sweep(copy, store.read_sweep(copy) | {"config": config})
    monkeypatch.setattr(protocol, "choose", on_test)
    build(copy)
    assert verify.main([f"--out={copy}"]) == 1
    said = capsys.readouterr().out
    assert "bce / 0.01 / 0 / 8 / 1000: chosen is 'True', recomputed False" in said
    assert "chosen is '0.01 (6)', recomputed '0.003 (6)'" in said
    assert "the stored runs give" not in said


def test_a_sweep_of_an_older_schema_is_refused_in_one_line(copy: Path) -> None:
    edit("sweep.json", '"schema": 2', '"schema": 1')(copy)
    with pytest.raises(UserError, match="sweep.json: schema 1, this version reads 2"):
        verify.main([f"--out={copy}"])


def test_a_sweep_that_lacks_its_own_metric_is_named(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = store.read_sweep(copy)
    config = described["config"] | {"primary_metric": "ms"}
    store.write_sweep(copy, described | {"config": config})
    assert verify.main([f"--out={copy}"]) == 1
    assert "describes no metric 'ms'" in capsys.readouterr().out


@pytest.mark.parametrize("name, value", [("test", 0), ("shape", [8, 0, 1])])
def test_a_dataset_without_pixels_is_refused_in_one_line(
    copy: Path, capsys: pytest.CaptureFixture[str], name: str, value: Any
) -> None:
    described = store.read_sweep(copy)
    described["datasets"]["digits"][name] = value
    store.write_sweep(copy, described)
    assert verify.main([f"--out={copy}"]) == 1
    assert f"{name}" in (said := capsys.readouterr().out) and "out of range" in said
    with pytest.raises(UserError, match="out of range"):
        evidence.read(copy)


def test_nothing_to_verify_is_bad_usage(true: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        verify.main([f"--out={tmp_path / 'absent'}"])
    with pytest.raises(UserError, match="holds no sweep.json"):
        verify.main([f"--out={tmp_path}"])
    shutil.copy(true / "sweep.json", tmp_path)
    with pytest.raises(UserError, match="holds no report"):
        verify.main([f"--out={tmp_path}"])


@pytest.mark.parametrize(("mapping", "mixed"), [("map", False), ("vmap", True)])
def test_more_seeds_later_are_no_other_layout(
    copy: Path, mapping: str, mixed: bool
) -> None:
    """Runs mapped one after the other have the bits of runs alone, however many."""
    for result in store.load(copy).results.values():
        replicas = 4 + 2 * (result.run.seed % 2)
        layout = {"devices": 2, "mapping": mapping, "replicas": replicas}
        provenance = dict(result.provenance) | {"layout": layout}
        store.write_result(copy, dataclasses.replace(result, provenance=provenance))
    build(copy)
    found = [line for line in problems(copy) if "mixed layout" in line]
    assert bool(found) == mixed
