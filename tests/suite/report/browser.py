"""A page in Debian's Chromium: what a script of the test's own finds in it."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# The page allows no script but its own, so its policy is left out here.
_ASK = """<script>addEventListener("load", async () => {
  let told;
  try { told = await (async () => { %s })(); }
  catch (error) { told = `${error.stack}`; }
  const out = parent.document.createElement("pre");
  out.id = "told"; out.textContent = JSON.stringify(told);
  parent.document.body.append(out);
})</script></body>"""


def ask(page: Path, script: str, folder: Path, width: int = 1280) -> Any:
    """What the body of an async function returns in the page, that many pixels wide."""
    text = _POLICY.sub("", page.read_text(encoding="utf-8"))
    text = text.replace("</body>", _ASK % script)
    outer = folder / "outer.html"
    outer.write_text(
        f'<!doctype html><body><iframe width="{width}" height="900" '
        f'srcdoc="{html.escape(text)}"></iframe>',
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={folder / 'profile'}", "--window-size=1600,1000"),
            *("--virtual-time-budget=10000", "--dump-dom", outer.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stderr[-2000:]
    return json.loads(html.unescape(told[1]))
