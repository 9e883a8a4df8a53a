"""Config fields: what is taken, what is refused, and in which words."""

import dataclasses
import importlib
import runpy
import time
import tracemalloc

import pytest
from absl import flags

from lossjax import syntax
from lossjax.suite import config
from lossjax.suite.cli.commandline import expanded, parse_sweep
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import FIELDS, FILLED, Sweep
from lossjax.suite.rules import Rule
from lossjax.suite.shipped import ROOT
from lossjax.suite.sweep.validation import validate

CONFIGS = sorted(ROOT.glob("configs/*.py"))


def parse(*arguments: str) -> Sweep:
    values = flags.FlagValues()
    return parse_sweep(values, list(arguments), "usage")[1]


def test_defaults_are_those_of_the_dataclass() -> None:
    assert config.resolve(config.sweep()) == Sweep()


def test_json_round_trip() -> None:
    sweep = Sweep(losses=("bce", "huber(delta=0.05)"), image_size=16)
    assert Sweep.from_json(sweep.to_json()) == sweep


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_shipped_config_loads_and_says_what_it_is(file) -> None:
    config.resolve(runpy.run_path(str(file))["get_config"]())
    text = file.read_text()
    for word in ("Command: ./run.sh sweep", "Device and time:", "Data:"):
        assert word in text, f"{file.name} lacks {word!r}"


@pytest.mark.parametrize(
    "text, axis",
    [
        ("bce,huber(delta=0.1)", ("bce", "huber(delta=0.1)")),
        ("barron(alpha=1, scale=0.1),mse", ("barron(alpha=1, scale=0.1)", "mse")),
        ("('bce', 'mse')", ("bce", "mse")),
        ("(bce, mse)", ("bce", "mse")),
        ("['a']", ("a",)),
        ("1e-3,3e-3", (1e-3, 3e-3)),
        ("(0, 1, 2)", (0, 1, 2)),
        ("7", (7,)),
        ("idx:/a b/c,digits", ("idx:/a b/c", "digits")),
        ("bce,", ("bce", "")),
    ],
)
def test_axis_is_read(text: str, axis: tuple) -> None:
    assert syntax.items(text) == axis


def test_every_field_can_be_overridden() -> None:
    sweep = parse(
        "--config=configs/digits.py",
        "--config.datasets=idx:DIR",
        "--config.models=mlp_ae,linear_ae",
        "--config.losses=bce,huber(delta=0.1)",
        "--config.learning_rates=1e-3,1",
        "--config.seeds=5",
        "--config.budgets=(7, 8)",
        "--config.latent_dims=2,3",
        "--config.train_steps=3",
        "--config.batch_size=4",
        "--config.latent_dim=2",
        "--config.width=4,8",
        "--config.hidden=9",
        "--config.image_size=32",
        "--config.channels=3",
        "--config.max_examples=100",
        "--config.crops=4",
        "--config.group_by=parent",
        "--config.value_range=0,4095",
        "--config.pixel_weights=inverse_frequency",
        "--config.optimiser=sgd",
        "--config.head_scale=3",
        "--config.start_logit=-8",
        "--config.schedule=constant",
        "--config.kl_cycles=2",
        "--config.kl_rise=0.25",
        "--config.precision=float32",
        "--config.gpu=deterministic",
        "--config.primary_metric=ssim",
        "--config.curve_points=2",
    )
    assert sweep == Sweep(
        datasets=("idx:DIR",),
        models=("mlp_ae", "linear_ae"),
        losses=("bce", "huber(delta=0.1)"),
        learning_rates=(1e-3, 1.0),
        seeds=(5,),
        budgets=(7, 8),
        latent_dims=(2, 3),
        train_steps=3,
        batch_size=4,
        latent_dim=2,
        width=(4, 8),
        hidden=(9,),
        image_size=32,
        channels=3,
        max_examples=100,
        crops=4,
        group_by="parent",
        value_range=(0.0, 4095.0),
        pixel_weights="inverse_frequency",
        optimiser="sgd",
        head_scale=3.0,
        start_logit=-8.0,
        schedule="constant",
        kl_cycles=2,
        kl_rise=0.25,
        gpu="deterministic",
        primary_metric="ssim",
        curve_points=2,
    )
    changed = [
        field.name
        for field in dataclasses.fields(Sweep)
        if getattr(sweep, field.name) != getattr(Sweep(), field.name)
    ]
    filled_in = {"precision", *FILLED}
    assert set(changed) == {f.name for f in dataclasses.fields(Sweep)} - filled_in


@pytest.mark.parametrize(
    "argument, words",
    [
        ("--config.los=bce", ["config field 'los'", "did you mean 'losses'"]),
        ("--config=configs/digit.py", ["config file", "configs/digits.py"]),
        ("--config=configs", ["config file 'configs'", "digits"]),
        ("--cofnig=x", ["--cofnig", "--config"]),
        ("stray", ["stray argument 'stray'"]),
        ("--config.train_steps=abc", ["train_steps", "abc"]),
        ("--config.train_steps=0", ["config.train_steps = 0", "from 1"]),
        ("--config.train_steps=1.5", ["train_steps", "1.5"]),
        ("--config.learning_rates=0", ["config.learning_rates = 0", "(0, 1e9]"]),
        ("--config.learning_rates=-1", ["config.learning_rates = -1"]),
        ("--config.learning_rates=nan", ["config.learning_rates", "nan"]),
        ("--config.learning_rates=inf", ["config.learning_rates", "inf"]),
        ("--config.learning_rates=fast", ["config.learning_rates = 'fast'"]),
        ("--config.learning_rates=True", ["config.learning_rates = True"]),
        ("--config.learning_rates=()", ["config.learning_rates", "not be empty"]),
        ("--config.learning_rates=1e-3,0.001", ["config.learning_rates", "twice"]),
        ("--config.losses=", ["config.losses", "must be names"]),
        ("--config.losses=bce,bce", ["config.losses", "'bce' twice"]),
        ("--config.losses=bce,,mse", ["config.losses", "must be names"]),
        ("--config.seeds=-1", ["config.seeds = -1", "whole number"]),
        ("--config.seeds=0,1.5", ["config.seeds = 1.5"]),
        ("--config.seeds=1,1", ["config.seeds", "1 twice"]),
        ("--config.seeds=2147483648", ["config.seeds"]),
        ("--config.budgets=0,99", ["config.budgets = 0", "from 1"]),
        ("--config.latent_dims=4,4", ["config.latent_dims", "4 twice"]),
        ("--config.tuning_seeds=1", ["config field 'tuning_seeds'"]),
        ("--config.batch_size=0", ["config.batch_size = 0"]),
        ("--config.latent_dim=-3", ["config.latent_dim = -3"]),
        ("--config.width=()", ["config.width"]),
        ("--config.width=0", ["config.width"]),
        ("--config.hidden=a", ["config.hidden"]),
        ("--config.channels=2", ["config.channels = 2", "1 or 3"]),
        ("--config.image_size=1", ["config.image_size = 1"]),
        ("--config.max_examples=5", ["config.max_examples = 5", "12"]),
        ("--config.value_range=4095", ["config.value_range", "two numbers"]),
        ("--config.value_range=4095,0", ["config.value_range", "black below white"]),
        ("--config.value_range=0,1,2", ["config.value_range", "two numbers"]),
        ("--config.value_range=0,x", ["config.value_range = 'x'", "numbers"]),
        ("--config.group_by=day", ["config.group_by = 'day'", "'parent'"]),
    ],
)
def test_bad_input_is_one_line_that_names_it(argument: str, words: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        parse(argument)
    text = " ".join(str(refusal.value).split())
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    "body, words",
    [
        ("import nothing_there", "line 1: ModuleNotFoundError: No module named 'noth"),
        ("def get_config():\n    return 1 / 0", "line 2: ZeroDivisionError: division"),
        ("def get_config():\n    raise ValueError('a\\nb')", "line 2: ValueError: a"),
        ("def get_config():\n    open('')", "line 2: FileNotFoundError: "),
        ("raise SystemExit(0)", "line 1: SystemExit: 0"),
        ("def get_config(", "line 1: SyntaxError: "),
        ("x = 1", "AttributeError: module "),
        ("def get_config(): return 3", "get_config must return"),
    ],
)
def test_broken_config_file_is_one_line(tmp_path, body: str, words: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(body)
    with pytest.raises(UserError) as refusal:
        parse(f"--config={file}")
    text = str(refusal.value)
    assert text.startswith(str(file)) and words in text and "Traceback" not in text


def test_a_flag_file_is_read_as_the_command_line(tmp_path) -> None:
    file, more = tmp_path / "flags", tmp_path / "more"
    file.write_text(
        f"# mine\n--config=mnist\n--config.datasets=digits\n--flagfile={more}"
    )
    more.write_text("--config.train_steps=7\n")
    given = ["--config=mnist", "--config.datasets=digits", "--config.train_steps=7"]
    assert expanded([f"--flagfile={file}"]) == given
    assert parse(*expanded([*given[:2], f"--flagfile={file}"])) == parse(*given)
    more.write_bytes(b"\xff")
    for name in (file, tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="^--flagfile: "):
            expanded([f"--flagfile={name}"])


@pytest.mark.parametrize(
    "argument, words",
    [
        ("--losses=bce", "a field of the config is --config.losses="),
        ("--Seed=1", "a field of the config is --config.seeds="),
        ("--undefok=zzz", "unknown flag '--undefok'"),
        ("-undefok", "unknown flag '--undefok'"),
    ],
)
def test_an_unknown_flag_says_what_was_meant(argument: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse(argument, "--zzz")


def test_config_with_an_unknown_field_is_refused(tmp_path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config():\n    return ConfigDict({'steps': 3})\n"
    )
    with pytest.raises(UserError, match="config field 'steps'.*train_steps"):
        parse(f"--config={file}")


def test_a_field_that_says_nothing_is_not_part_of_what_a_run_is() -> None:
    assert "max_examples" not in Sweep().fixed()
    assert Sweep(max_examples=50).fixed()["max_examples"] == 50


def test_an_axis_that_is_set_replaces_the_single_value() -> None:
    alone = Sweep(train_steps=30, latent_dim=4)
    assert (alone.step_counts, alone.code_sizes) == ((30,), (4,))
    several = Sweep(train_steps=30, budgets=(10, 20), latent_dims=(2, 3))
    assert (several.step_counts, several.code_sizes) == ((10, 20), (2, 3))
    assert several.arms == 2 * 2 * len(several.losses)
    assert several.fixed() == alone.fixed()


def test_forty_thousand_seeds_are_checked_in_a_blink() -> None:
    began = time.monotonic()
    Sweep(seeds=tuple(range(40_000)))
    assert time.monotonic() - began < 1


def test_a_precision_that_is_not_known_is_named() -> None:
    with pytest.raises(UserError, match="config.precision 'float23': did you mean"):
        validate(Sweep(precision="float23"))
    assert validate(Sweep(precision="bfloat16")).precision == "bfloat16"
    assert validate(Sweep(precision="tf32x3")).precision == "tf32x3"
    with pytest.raises(UserError, match="config.precision=tf32x3: res_ae has conv"):
        validate(Sweep(models=("conv_ae", "res_ae"), precision="tf32x3"))


def test_none_says_nothing_also_where_there_is_a_default() -> None:
    # Sweeps that were stored when the default had no name.
    assert Sweep.from_json({"optimiser": None, "schedule": None}) == Sweep()
    assert Sweep(head_scale=1, schedule="cosine", optimiser="adam") == Sweep()


def test_run_ids_depend_on_what_was_said_and_on_nothing_else() -> None:
    assert list(Sweep().fixed().items()) == [
        ("batch_size", 64),
        ("width", [16, 32]),
        ("hidden", [128]),
        ("precision", "float32"),
        ("curve_points", 10),
    ]
    ends = {"value_range": [0.0, 4095.0]}
    assert Sweep(value_range=(0, 4095)).fixed() == Sweep().fixed() | ends
    same = {"gpu": "deterministic"}
    assert Sweep(**same).fixed() == Sweep().fixed() | same  # other bits, on a GPU
    said = {"image_size": 16, "optimiser": "sgd", "head_scale": 0.5, "start_logit": 2}
    assert Sweep(**said).fixed() == Sweep().fixed() | said


def test_what_is_held_fixed_costs_nothing_of_the_axes() -> None:
    # It is asked for once for each run: a list of all seeds each time is their square.
    many = Sweep(seeds=tuple(range(100_000)))
    tracemalloc.start()
    many.fixed()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_field_refuses_what_its_rule_excludes(field: Rule) -> None:
    def given(value: object) -> dict[str, object]:
        return {field.name: (value,) if field.many else value}

    wrong: list[object] = [True, object()]
    wrong += [""] if field.kind is str else ["1", float("nan"), float("inf"), 10**400]
    if field.low is not None:
        wrong.append(field.low if field.above else field.low - 1)
    wrong += [] if field.high is None else [field.high + 1]
    wrong += ["neither"] if field.choices else []
    for value in wrong:
        with pytest.raises(UserError, match=rf"config\.{field.name} = .*must be"):
            Sweep(**given(value))  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", ["sweep", "launch"])
def test_help_shows_every_field_with_its_rule(verb: str, capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"lossjax.suite.{verb}.__main__").main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for name, field in FIELDS.items():
        rule = f"[{field.valid}; default {field.shown_default}]"
        assert f"--config.{name} {field.meaning} {rule}" in text
        if not field.many and field.default is not None:
            given = parse(f"--config.{name}={field.shown_default}")
            assert given == parse()
