"""SIGKILL at random moments on a real directory. It says nothing about power; the cut test does."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from outrider.model.record import Kind, Lane
from outrider.record.inspect import inspect
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage
from tests.support.records import SMALL

ROOT = Path(__file__).parents[2]
KILLS = 50

# Appends and commits until it is killed; tells each committed record on stdout after its commit returned.
CHILD = """
import os, random, sys
from pathlib import Path
from outrider.model.record import Lane
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryStorage
from tests.support.records import SMALL, record

rng = random.Random(int(sys.argv[2]))
journal = Journal.open(DirectoryStorage(Path(sys.argv[1])), SMALL, boot_id=7, rng=random.SystemRandom())
number = int(sys.argv[2]) * 1_000_000
while True:
    told = []
    for _ in range(rng.randint(1, 4)):
        number += 1
        lane = rng.choice(list(Lane))
        told.append((lane.value, journal.append(record(lane, number, rng.choice((8, 200, 3000)))), number))
    journal.commit()
    text = "".join(f"{journal.epoch} {lane} {seq} {number}\\n" for lane, seq, number in told)
    os.write(1, text.encode())
    if rng.random() < 0.2:
        for stream in journal.streams():
            journal.acknowledge(stream.epoch, stream.lane, stream.durable - 20 if stream.durable > 20 else 0)
        journal.maintain()
"""


def run_until_killed(directory: Path, turn: int, after_bytes: int) -> list[tuple[int, Lane, int, int]]:
    """(epoch, lane, seq, number) of what the child said was committed before it was killed."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT}"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory), str(turn)], stdout=subprocess.PIPE, env=env, cwd=ROOT
    )
    assert child.stdout is not None
    told = child.stdout.read(after_bytes)
    assert child.poll() is None, "the child ended by itself"
    child.send_signal(signal.SIGKILL)
    told += child.stdout.read()
    child.stdout.close()
    child.wait()
    lines = told.decode("ascii").split("\n")[:-1]
    return [(int(e), Lane(int(lane)), int(seq), int(n)) for e, lane, seq, n in (line.split() for line in lines)]


def test_fifty_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """What a child said was committed is there with its content; one epoch; no number used twice; nothing damaged."""
    rng = random.Random(11)
    promised: dict[tuple[int, Lane, int], int] = {}
    for turn in range(KILLS):
        for epoch, lane, seq, number in run_until_killed(tmp_path, turn + 1, rng.randint(1, 4000)):
            assert (epoch, lane, seq) not in promised, f"{lane.name} {seq} was used twice"
            promised[epoch, lane, seq] = number
        found = inspect(DirectoryStorage(tmp_path, read_only=True))
        assert found.damage == []
        assert found.quarantined == []
        held = {(s.epoch, s.record.lane, s.seq): int.from_bytes(s.record.body[:8], "little") for s in found.records()}
        acknowledged = {(s.epoch, s.lane): s.acknowledged for s in found.streams()}
        for (epoch, lane, seq), number in promised.items():
            if seq > acknowledged[epoch, lane]:
                assert held[epoch, lane, seq] == number, f"{lane.name} {seq} after kill {turn}"
    assert len({epoch for epoch, _lane, _seq in promised}) == 1
    assert len(promised) > 1000
    journal = Journal.open(DirectoryStorage(tmp_path), SMALL, boot_id=7, rng=rng)
    assert not any(s.record.kind == Kind.GAP for lane in Lane for s in journal.read(journal.epoch, lane, 1, 10, 1000))
    journal.close()


def test_a_second_daemon_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    """By another process, with the first one's pid, in one line and exit code 75; free again after the first dies."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom outrider.cli.common import report_error\n"
        "from outrider.record.storage_io import DirectoryStorage\n"
        "try:\n    DirectoryStorage(Path(sys.argv[1]))\nexcept Exception as err:\n    sys.exit(report_error(err))\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT / "daemon")}
    command = [sys.executable, "-c", code, str(tmp_path)]
    storage = DirectoryStorage(tmp_path)
    refused = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode == 75
    assert refused.stderr == f"error: {tmp_path}: in use by process {os.getpid()}; stop it first\n"
    storage.close()
    assert subprocess.run(command, env=env, check=False).returncode == 0


def test_looking_beside_a_running_writer_finds_no_damage(tmp_path: Path) -> None:
    """verify, while another process appends, commits, acknowledges and releases, is always sound."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT}"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), "1"], stdout=subprocess.PIPE, env=env, cwd=ROOT
    )
    assert child.stdout is not None
    try:
        for _ in range(8):
            assert child.stdout.readline()
            command = [sys.executable, "-m", "outrider", "journal", "verify", str(tmp_path), "--json"]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=ROOT)
            assert done.returncode == 0, done.stdout + done.stderr
            assert json.loads(done.stdout)["damage"] == []
            assert child.poll() is None
    finally:
        child.kill()
        child.stdout.close()
        child.wait()
