"""A notebook of docs/ as a page of the site: its text, its code, what the code gave."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def page(path: Path) -> str:
    """The notebook as Markdown."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in _parts(cell)) + "\n"


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        shown = output.get("data", {"text/plain": output.get("text", [])})
        given = {kind: "".join(lines) for kind, lines in shown.items()}
        if "text/html" in given:
            # A blank line would end the block of HTML.
            yield "\n".join(filter(str.strip, given["text/html"].splitlines()))
        elif "image/png" in given:
            data = "".join(given["image/png"].split())
            yield f'<img alt="what the code draws" src="data:image/png;base64,{data}">'
        elif text := given.get("text/plain", "").strip("\n"):
            yield f"```text\n{text}\n```"
