"""Accelerators by the names that each engine gives them, with size and price."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lossjax.suite.cli.errors import UserError, unknown

PRICES = "SkyPilot's catalog v8 (commit 006059e), US regions; spot moves by the hour"

SPECIFICATIONS = "Google's pages on v5e, v5p, v6e and TPU7x"
TARGETS = "OpenXLA's target configurations"
IMAGES = "SkyPilot's source (sky/clouds/gcp.py)"
IMAGE_PROJECT = "ubuntu-os-accelerator-images"


@dataclass(frozen=True)
class Generation:
    """What all TPUs of a generation share; read where the names above say.

    Attributes:
      image: family of Compute Engine images; empty where there is none.
      flops: peak bfloat16 ones a second and chip, and `traffic`: bytes of memory.
    """

    image: str
    flops: float
    traffic: float


_PASSES = 6  # of bfloat16, for full float32
_IMAGE = "ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e"
GENERATIONS = {
    "v5e": Generation("", 197e12, 819e9),
    "v6e": Generation(_IMAGE, 918e12, 1638e9),
    "v5p": Generation(_IMAGE, 459e12, 2765e9),
    "tpu7x": Generation("ubuntu-accel-2404-amd64-tpu-tpu7x", 2307e12, 7380e9),
}


@dataclass(frozen=True)
class Tpu:
    """A TPU slice on one host.

    Attributes:
      sky, machine: its name for SkyPilot, and as a Compute Engine machine type; empty
        where there is none.
      topology: what libtpu calls it.
      chips: how many, and `gib`: memory of one of its devices.
      dollars, spot: of one chip an hour, (low, high) for spot; None where unknown.
    """

    sky: str
    machine: str
    topology: str
    chips: int
    gib: int
    dollars: float | None
    spot: tuple[float, float] | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.sky, self.machine) if name)

    @property
    def peak(self) -> tuple[float, float, str]:
        """Float32 operations and bytes a second of a chip, and who says so."""
        chip = self.generation
        return chip.flops / _PASSES, chip.traffic, SPECIFICATIONS

    @property
    def generation(self) -> Generation:
        return GENERATIONS[self.topology.partition(":")[0]]


def _lite(chips: int, shape: str) -> Tpu:
    name = f"tpu-v5litepod-{chips}"
    return Tpu(name, "", f"v5e:{shape}", chips, 16, 1.2, (0.24, 0.6))


def _v6e(chips: int, shape: str) -> Tpu:
    name, machine = f"tpu-v6e-{chips}", f"ct6e-standard-{chips}t"
    return Tpu(name, machine, f"v6e:{shape}", chips, 32, 2.7, (0.54, 1.35))


TPUS = (
    _lite(1, "1x1"),
    _lite(4, "2x2"),
    _lite(8, "2x4"),
    _v6e(1, "1x1"),
    _v6e(4, "2x2"),
    _v6e(8, "2x4"),
    Tpu("tpu-v5p-8", "ct5p-hightpu-4t", "v5p:2x2x1", 4, 95, 4.2, (0.83, 1.68)),
    Tpu("", "tpu7x-standard-4t", "tpu7x:2x2x1", 4, 96, None, None),
)


@dataclass(frozen=True)
class Gpu:
    """A GPU that programs are compiled for without one, as TARGETS describe it.

    Attributes:
      name: that `--check` takes, and `device`: what the driver calls it.
      capability: major number of what its code is compiled for.
      cores: multiprocessors of 128 float32 units, and `ghz`: their clock.
      memory, traffic, cache: bytes, bytes a second, bytes of the second level.
    """

    name: str
    device: str
    capability: int
    cores: int
    ghz: float
    memory: int
    traffic: float
    cache: int

    chips = 1

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def topology(self) -> str:
        return self.device

    @property
    def gib(self) -> int:
        return self.memory // 2**30

    @property
    def peak(self) -> tuple[float, float, str]:
        """As that of a TPU."""
        return self.cores * 128 * 2 * self.ghz * 1e9, self.traffic, TARGETS

    @property
    def target(self) -> str:
        """What XLA reads as its `gpu_target_config`."""
        limits = {
            "threads_per_block_limit": 1024,
            "threads_per_warp": 32,
            "shared_memory_per_block": 49152,
            "shared_memory_per_core": 233472,
            "threads_per_core_limit": 2048,
            "core_count": self.cores,
            "fpus_per_core": 128,
            "block_dim_limit_x": 2**31 - 1,
            "block_dim_limit_y": 65535,
            "block_dim_limit_z": 65535,
            "memory_bandwidth": int(self.traffic),
            "l2_cache_size": self.cache,
            "clock_rate_ghz": self.ghz,
            "device_memory_size": self.memory,
            "shared_memory_per_block_optin": 232448,
            "cuda_compute_capability": f"{{ major: {self.capability} }}",
            "registers_per_core_limit": 65536,
            "registers_per_block_limit": 65536,
            "driver_version": '"13.0.0"',
            "runtime_version": '"12.9.0"',
            "compile_time_toolkit_version": '"12.9.0"',
            "dnn_version": '"9.28.0"',
        }
        lines = "".join(f"  {name}: {value}\n" for name, value in limits.items())
        return (
            f"gpu_device_info {{\n{lines}}}\n"
            'platform_name: "CUDA"\n'
            "dnn_version_info { major: 9 minor: 28 patch: 0 }\n"
            f'device_description_str: "{self.device}"\n'
        )


_HOPPER = 9, 132, 1.98
CHECKED = (
    Gpu("h100", "NVIDIA H100 80GB HBM3", *_HOPPER, 84942979072, 3352.32e9, 52428800),
    Gpu("h200", "NVIDIA H200 141GB HBM3e", *_HOPPER, 151397597184, 4.8e12, 52428800),
    Gpu("b200", "NVIDIA B200", 10, 148, 1.965, 191514411008, 7672.32e9, 132644864),
)
# GPUs in SkyPilot's catalog; each takes a count, A100:8.
GPUS = ("A10", "A10G", "A100", "A100-80GB", "H100", "H200", "L4", "L40S", "T4", "V100")
# As ray.util.accelerators of Ray 2.60 has them; a TPU's count is of chips on one host.
RAY = (
    *("CPU", "TPU-V5LITEPOD", "TPU-V5P", "TPU-V6E", "TPU-V7X"),
    *("A10G", "A100", "A100-40G", "A100-80G", "H100", "H200", "L4", "L40S", "T4"),
    *("V100", "B200"),
)


def tpu(name: str) -> Tpu | None:
    """The TPU of any engine's name."""
    return next((row for row in TPUS if name in row.names), None)


def gpu(name: str) -> Gpu | None:
    """The GPU that `--check` compiles for by that name, H100:8 for one of them."""
    plain = name.partition(":")[0].lower()
    return next((row for row in CHECKED if row.name == plain), None)


# Engines whose names are no list of ours: what one looks like, and that in words.
_PATTERNS: Mapping[str, tuple[str, str]] = {
    "k8s": (
        r"(nvidia\.com/gpu|cpu):[1-9]\d{0,2}",
        "of k8s are nvidia.com/gpu:COUNT and cpu:COUNT; for TPUs --engine=sky "
        "--infra=k8s",
    ),
    "slurm": (
        r"none|gpu(:[A-Za-z0-9_.-]{1,40})?:[1-9]\d{0,2}",
        "Slurm's names are gpu:COUNT, gpu:TYPE:COUNT (sinfo -o %G lists them) or none",
    ),
}


def check(engine: str, name: str) -> None:
    """UserError, with the nearest name, where an engine has no such accelerator."""
    if engine in _PATTERNS:
        pattern, words = _PATTERNS[engine]
        if not re.fullmatch(pattern, name):
            raise UserError(f"--accelerator={name}: {words}")
        return
    base, _, count = name.partition(":")
    if count and not re.fullmatch(r"[1-9]\d{0,3}", count):
        raise UserError(f"--accelerator={name}: the count after ':' must be a number")
    valid = _names(engine)
    if base not in valid or (
        count and base.lower().startswith("tpu-v") and engine == "sky"
    ):
        raise unknown(f"--accelerator of {engine}", base if count else name, valid)


def examples(engine: str) -> str:
    """What an engine calls its accelerators."""
    if engine in _PATTERNS:
        return _PATTERNS[engine][1]
    return f"of {engine} are {', '.join(_names(engine)[:3])}, ..."


def _names(engine: str) -> list[str]:
    return {
        "sky": [row.sky for row in TPUS if row.sky] + list(GPUS),
        "gcloud": [row.machine for row in TPUS if row.machine],
        "ray": list(RAY),
    }[engine]


def cost(name: str, spot: bool, machines: int) -> str:
    """A line that says what an hour costs, and where that is known from."""
    row = tpu(name)
    if row is None or row.dollars is None:
        return "cost: unknown here; the provider's price list says"
    chips = row.chips * machines
    if spot and row.spot:
        low, high = (price * chips for price in row.spot)
        price = f"{low:.2f} to {high:.2f}"
    else:
        price = f"{row.dollars * chips:.2f}"
    return f"cost: about {price} dollars an hour for {chips} chips (estimate; {PRICES})"
