"""What the store's files hold, one schema a kind, in the words of `untrusted.conform`.

The keys are those that a reader needs; what is sealed may still be anybody's work.
"""

from typing import Any

_NUMBER = (None, float)  # null where there is no number
_COUNT = range(1, 2**53)  # of images, or a side: every one is a divisor somewhere
PACKED = {"shape": [int], "data": str, "dtype?": str}

RUN: dict[Any, Any] = {
    "dataset": str,
    "model": str,
    "loss": str,
    "learning_rate": float,
    "seed": int,
    "latent_dim": int,
    "train_steps": int,
    "fixed": dict,
}
CURVE: dict[Any, Any] = {str: [_NUMBER]}
RESULT: dict[Any, Any] = {
    "run": RUN,
    "status": str,
    "message": str,
    "diverged_step": (None, int),
    "validation_loss": _NUMBER,
    "metrics": {str: _NUMBER},
    "curve": CURVE,
    "gallery": (None, PACKED),
    "kept?": (
        None,
        {
            "metrics": [str],
            "groups": PACKED,
            "classes?": PACKED,
            "worst": (
                None,
                {
                    "metric": str,
                    "places": [int],
                    "scores": [_NUMBER],
                    "originals": PACKED,
                    "read_outs": PACKED,
                },
            ),
        },
    ),
    "drawn?": (
        None,
        {
            "samples": PACKED,
            "interpolations": PACKED,
            "places": PACKED,
            "labels": (None, PACKED),
        },
    ),
    "provenance": dict,
}
# What the advisor found beside its sweep; see lossjax.suite.advise.
ADVICE: dict[Any, Any] = {
    "question": str,
    "purpose": str,
    "minutes": float,
    "notes": [str],
    "look": {
        "images": int,
        "duplicates": int,
        "black": float,
        "white": float,
        "binary": float,
        "floor": float,
        "colour": bool,
        "counted": float,
        "histogram": [float],
    },
    "trivial": {str: _NUMBER},
    "pilot": (
        None,
        {
            "run": str,
            "images": int,
            "g": float,
            "low": float,
            "high": float,
            "tail": _NUMBER,
        },
    ),
    # Of every loss how its raw output becomes an image, and code to paste.
    "losses": {str: {"output": str, "code": {str: str}}},
}
SWEEP: dict[Any, Any] = {
    "config": dict,
    "losses": [str],
    "hypers?": {str: {str: _NUMBER}},
    "metrics": {
        str: {
            "direction": str,
            "unit": str,
            "label?": str,
            "meaning?": str,
            "margin": {"value": float, "relative": bool},
            "note?": str,
            "partial?": bool,
            "variational?": bool,
        }
    },
    "diagnostics?": {str: {"unit": str, "note": str}},
    "datasets": {
        str: {
            "fingerprint": str,
            "shape": [_COUNT, _COUNT, _COUNT],
            "train": _COUNT,
            "validation": _COUNT,
            "test": _COUNT,
            "derived?": {str: str},
            "gallery_labels?": [int],
            "classes?": {"labels": [int], "counts": [int]},
            "gallery?": (None, PACKED),
            "pixels?": {
                "levels": int,
                "black": float,
                "white": float,
                "masked": bool,
                "counted": {str: int},
                "balance": [{"mean": float, "dark": float, "bright": float}],
            },
        }
    },
    "provenance": {"numerics": int},
    "advice?": ADVICE,
}
STATE: dict[Any, Any] = {
    "step": int,
    "curve": CURVE,
    "made_by": dict,
    "run_id": str,
}
MODEL: dict[Any, Any] = {"run": RUN, "config": dict, "image": [int], "sha256": str}
# How a study's stored rows were made.
_JUDGE = {"metric": str, "direction": str, "margin": float, "relative": bool}
MADE: dict[Any, Any] = {
    "quick": bool,
    "full?": bool,
    "judge": (None, _JUDGE),
    "judges?": [_JUDGE],
    "provenance": {"numerics": int},
}
