"""The rig's health check bites: whatever a test leaves behind, loses or lets be said fails it, after the test itself.

Each case is a small test run under the rig's own conftest by a pytest of its own; the bus is one without a kernel bus.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]

PREAMBLE = """
import os, signal, socket, subprocess, sys, threading
from pathlib import Path
from hil.rig.unix_bus import UnixBus
from tests.support.can_feed import classic

def start(terminal, tmp_path, **options):
    bus = UnixBus(tmp_path / "bus.sock")
    return terminal(can=[bus.table], **options), bus
"""


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, body: str) -> pytest.RunResult:
    """Outcome of one test function named test_it under hil/conftest.py."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'daemon'}")
    monkeypatch.setenv("OUTRIDER_HIL_PATIENCE", "1")
    pytester.makeini("[pytest]\npythonpath = . \nfilterwarnings = error")
    pytester.makeconftest("from hil.conftest import *  # noqa\n")
    pytester.makepyfile(test_case=PREAMBLE + body)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", pytester.path / "t")


def test_a_healthy_test_passes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that hears a frame and ends clean is no reason for concern."""
    body = """
def test_it(terminal, tmp_path):
    box, bus = start(terminal, tmp_path)
    with bus.sender() as sender:
        sender.send(classic(0x100, b"1"))
    box.wait("it is counted", lambda: box.source("bus.sock").get("frames") == 1)
"""
    run(pytester, monkeypatch, body).assert_outcomes(passed=1)


LEFT_BEHIND = {
    "descriptor": ("def test_it(): os.dup(0)", "leaked descriptors"),
    "thread": (
        "def test_it():\n    wait = threading.Event().wait\n"
        "    threading.Thread(target=wait, args=(20,), name='lost', daemon=True).start()",
        "thread lost .* was left running",
    ),
    "process": (
        "def test_it():\n    subprocess.Popen(['sleep', '20'], start_new_session=True).returncode = 0",
        "process .*sleep 20.* was left running",
    ),
}


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_what_is_left_behind_is_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """An open file, a thread, a process."""
    body, told = LEFT_BEHIND[what]
    result = run(pytester, monkeypatch, body)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.re_match_lines([f".*{told}"])


ILL = {
    "log": (
        "    box.allow_log('something else')\n"
        "    with (box.directory / 'daemon.log').open('a') as log: log.write('WARNING outrider.x: oh\\n')",
        "unexpected log line: WARNING outrider.x: oh",
    ),
    "traceback": (
        "    with (box.directory / 'daemon.log').open('a') as log: log.write('Traceback (most recent call last):\\n')",
        "unexpected log line: Traceback",
    ),
    "silence": ("    box.expect_log('hark')", "this log line never came: hark"),
    "malformed": (
        "    with bus.sender() as sender: sender.send(b'12345')\n"
        "    box.wait('it is counted', lambda: box.source('bus.sock').get('malformed') == 1)",
        "bus.sock: malformed = 1",
    ),
    "journal": (
        "    with bus.sender() as sender: sender.send(classic(0x100, b'1'))\n"
        "    box.wait('a record', lambda: box.status()['vehicle'])\n    box.stop()\n"
        "    for segment in box.journal.glob('*.seg'):\n"
        "        data = bytearray(segment.read_bytes())\n"
        "        data[4096 + 40] ^= 0xFF  # in the first record of those that have one\n"
        "        segment.write_bytes(data)",
        "outrider journal verify",
    ),
}


@pytest.mark.parametrize("what", ILL)
def test_an_ill_terminal_is_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Lines that nobody expected, expected ones that did not come, losses, a damaged journal."""
    deed, told = ILL[what]
    body = f"def test_it(terminal, tmp_path):\n    box, bus = start(terminal, tmp_path)\n{deed}\n"
    result = run(pytester, monkeypatch, body)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.re_match_lines([f".*{told}"])


def test_an_end_by_itself_is_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cannot start fails the test with its own words, and the command that repeats it is told."""
    body = "def test_it(terminal):\n    terminal(can=['vcan0'], config={'vehicle': {'profiles': ['nobody']}})\n"
    result = run(pytester, monkeypatch, body)
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*the terminal ended while waiting*", "make hil HIL_ARGS=test_case.py::test_it"])
