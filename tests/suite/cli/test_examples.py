"""Every sweep that a text shows, and every shipped config, can decide something."""

import importlib
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from absl import flags

from lossjax.suite import statistics
from lossjax.suite.cli.__main__ import VERBS
from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.reproduce.configs import config
from lossjax.suite.shipped import CONFIGS, ROOT
from lossjax.suite.sweep.preview import seeds_note

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"))
TEXTS = {
    **{str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES},
    **{
        verb: importlib.import_module(f"lossjax.suite.{package}.__main__").USAGE
        for verb, (package, _) in VERBS.items()
    },
    **{f"configs/{x.name}": x.read_text("utf-8") for x in CONFIGS.glob("*.py")},
}
ONLY_SWEEP = re.compile(r"--(config[.\w]*)=")


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `./run.sh sweep` in a text that chooses what is trained.

    What is optional, or names no file but stands for one, is no example.
    """
    for found in re.finditer(r"\./run\.sh (?:sweep|launch)\b([^\n`|]*)", text):
        line = found[1].partition("#")[0].partition("  ")[0]
        if "[" in line.replace("mse[straight_through]", "") or "FILE" in line:
            continue
        words = [re.sub("[.,;:]+$", "", word) for word in shlex.split(line)]
        words = [
            w.removesuffix(")") if w.count("(") < w.count(")") else w for w in words
        ]
        yield [word for word in words if ONLY_SWEEP.match(word)]


EXAMPLES = sorted({(*c,) for text in TEXTS.values() for c in commands(text)})


@pytest.mark.parametrize("verb", VERBS)
def test_the_module_of_a_verb_is_the_verb(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m lossjax.suite.sweep` without a main of its own would do nothing."""
    said: list[object] = []
    monkeypatch.setattr("lossjax.suite.cli.signals.run", lambda *run: said.append(run))
    monkeypatch.setattr("sys.argv", ["-", "--nope"])
    module = importlib.import_module(f"lossjax.suite.{VERBS[verb][0]}.__main__")
    found = runpy.run_path(str(module.__file__), run_name="__main__")
    assert said == [(found["main"], ["--nope"])]


@pytest.mark.parametrize("example", EXAMPLES, ids=" ".join)
def test_no_example_is_unable_to_decide(
    example: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = re.search(
        "```python\n# (my_file.py)\n(.*?)```", TEXTS["docs/losses.md"], re.S
    )
    assert own is not None
    Path(own[1]).write_text(own[2])
    _, sweep = parse_sweep(flags.FlagValues(), list(example), "usage")
    assert "too few seeds" not in seeds_note(sweep)


def test_the_examples_are_found() -> None:
    assert () in EXAMPLES and len(EXAMPLES) > 15
    few = ["./run.sh sweep --config.losses=bce,mse --config.seeds=0,1", ""]
    (arguments,) = commands("\n".join(few))
    _, sweep = parse_sweep(flags.FlagValues(), arguments, "usage")
    assert "6 are needed (--config.seeds=0,1,2,3,4,5)" in seeds_note(sweep)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.py")), ids=lambda f: f.stem)
def test_every_shipped_sweep_can_decide(file: object) -> None:
    """All that `--config=FILE:ARG` may name; rates are a factor of about 3 apart."""
    module = config(str(file))
    named = module.sweeps() if hasattr(module, "sweeps") else {"": None}
    for name in named:
        short = name.replace(", ", "-").replace(" ", "")
        holder = module.get_config(short) if short else module.get_config()
        rivals = len(holder.losses) - 1
        assert len(holder.seeds) >= statistics.seeds_needed(rivals), name
        rates = sorted(holder.learning_rates)
        steps = [b / a for a, b in zip(rates, rates[1:], strict=False)]
        # The study aa asks what a coarser grid costs.
        assert name == "factor 10" or all(2.5 < step < 4 for step in steps), name
