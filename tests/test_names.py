"""One meaning, one name: of classes, modules and packages."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "lossjax", ROOT / "experiments")
FILES = [file for folder in FOLDERS for file in folder.rglob("*.py")]


def repeated(places: dict[str, set[str]]) -> dict[str, set[str]]:
    return {name: where for name, where in places.items() if len(where) > 1}


def test_no_class_name_in_two_modules() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].add(str(file.relative_to(ROOT)))
    assert {"Loss", "Sweep", "Study"} <= set(places)
    assert not repeated(places)


def test_no_two_modules_of_one_name() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        module = file.parent if file.stem.startswith("__") else file.with_suffix("")
        places[module.name].add(str(module.relative_to(ROOT)))
    assert {"loss", "losses", "sweep"} <= set(places)
    assert not repeated(places)
