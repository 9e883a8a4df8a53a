"""The studies: every file of experiments/ that ends in `STUDY = Study(...)`."""

import importlib.util
import sys
import types
from collections.abc import Mapping

from lossjax.suite.reproduce.study import Study
from lossjax.suite.shipped import EXPERIMENTS


def _load() -> dict[str, Study]:
    studies: dict[str, Study] = {}
    for file in sorted(EXPERIMENTS.glob("*.py")):
        name = f"experiments.{file.stem}"
        module = sys.modules.get(name)
        if module is None:
            spec = importlib.util.spec_from_file_location(name, file)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
        study = getattr(module, "STUDY", None)
        if study is not None:
            studies[study.name] = study
    return studies


STUDIES: Mapping[str, Study] = types.MappingProxyType(_load())
