"""A headless browser over a file: what it logs, how wide the page is, what is in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 120
_SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
# Runs in a page around the tested one, with a frame for each width (headless windows have a least width of their own).
_PROBE = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><pre id="answer"></pre><script>
const answers = {{}};
for (const width of {widths}) {{
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.style = `border:0;width:${{width}}px;height:900px;display:block`;
  frame.onload = () => {{
    const page = frame.contentDocument, root = page.documentElement;
    const wide = [...page.querySelectorAll("body *")].filter(e => {{
      if (e.closest(".scroll") || e.closest("svg") || !e.getClientRects().length) return false;
      return e.getBoundingClientRect().right > root.clientWidth + 1;
    }}).map(e => e.tagName + "." + e.className);
    answers[width] = {{
      scroll: root.scrollWidth, client: root.clientWidth, wide, svgs: page.querySelectorAll("svg").length,
      shown: [...page.querySelectorAll("figure svg")].filter(e => e.getBoundingClientRect().width > 0).length,
      scripts: page.querySelectorAll("script").length, text: page.body.innerText,
      ids: [...page.querySelectorAll("[id]")].map(e => e.id),
      links: [...page.querySelectorAll("[src],link[href],use")].map(
        e => e.getAttribute("src") || e.getAttribute("href") || e.getAttribute("xlink:href"))
    }};
    document.getElementById("answer").textContent = JSON.stringify(answers);
  }};
  frame.srcdoc = {page};
}}
</script></body>"""


@dataclass(frozen=True)
class Seen:
    """What the browser made of a page: an answer for each width, and what it logged."""

    answers: dict[int, dict[str, Any]]
    console: list[str]


def look(page: Path, folder: Path, *widths: int) -> Seen:
    """Opens ``page`` at each width [CSS pixels]; skips the test when there is no browser."""
    browser = _browser()
    probe = folder / "probe.html"
    source = json.dumps(page.read_text(encoding="utf-8")).replace("</", "<\\/")
    probe.write_text(_PROBE.format(widths=list(widths), page=source), encoding="utf-8")
    command = [
        browser, *_SWITCHES, "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000", "--dump-dom", probe.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert found, done.stderr.decode()[-2000:]
    console = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    return Seen({int(width): answer for width, answer in json.loads(unescape(found[1])).items()}, console)


def paper(page: Path, folder: Path) -> Path:
    """``page`` printed as a PDF on its own paper size, without the browser's head and foot; skips without a browser."""
    target = folder / f"{page.stem}.pdf"
    command = [
        _browser(), *_SWITCHES, f"--user-data-dir={folder / 'profile'}", "--no-pdf-header-footer",
        f"--print-to-pdf={target}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)
    return target


def _browser() -> str:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs a browser: apt-get install chromium")
    return browser
