"""The terminal's capture on real buses: every kind of frame as it was sent, full load, bursts; nothing lost unsaid."""

from __future__ import annotations

import signal

import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.load import ERROR_CLASSES, FULL_BUS, datagram, every_kind, full_bus, odd_datagrams, play
from hil.rig.patience import Patience
from hil.rig.terminal import Terminal
from outrider.model.frame import ERR, FrameBatch
from tests.oracles.can_datagram import oracle
from tests.support.can_feed import Seen, seen

BURST_SHARE = 0.9  # of what the kernel's buffer is known to hold
FRAME_BYTES = 768  # what one frame costs of SO_RCVBUF at most (skb and head)
LOAD_S = 3.0


def tape(box: Terminal) -> list[Seen]:
    """Every frame the engine processed, from the tape of a terminal that has been stopped."""
    files = sorted((box.directory / "tapes").glob("*.tape"))
    return [frame for file in files for frame in seen(file.read_bytes())]


def content(frame: Seen) -> tuple[int, int, bytes]:
    return frame.can_id, frame.flags, frame.data


def counted(box: Terminal, bus: Vcan, counter: str = "frames") -> int:
    return int(box.source(f":{bus}").get(counter, 0))


def reaches(box: Terminal, bus: Vcan, counter: str, count: int) -> None:
    """Wait until a counter of a bus has this value."""
    box.wait(f"{counter} of {bus} = {count}", lambda: counted(box, bus, counter) == count)


def lost(box: Terminal, buses: tuple[Vcan, ...]) -> int:
    return sum(counted(box, bus, "socket_lost") for bus in buses)


@pytest.fixture
def taped(terminal: MakeTerminal, vcan: tuple[Vcan, ...]) -> Terminal:
    """A terminal on all four buses that writes down what its engine processes."""
    return terminal(can=vcan, config={"engine": {"tape_directory": "tapes"}})


def test_every_frame_arrives_as_it_was_sent(taped: Terminal, vcan: tuple[Vcan, ...]) -> None:
    """Four buses with every identifier, length and kind, in the profile or not: none lost, changed or out of order."""
    taped.allow_log(
        "rigcan[0-3]: (bus-off|error-passive|wrong-bitrate): "
    )  # error frames of every class are among them
    sent = [every_kind(seed) for seed in range(4)]
    for bus, frames in zip(vcan, sent, strict=True):
        with bus.sender() as sender:
            for frame in frames:
                sender.send(datagram(frame))
    for bus, frames in zip(vcan, sent, strict=True):
        reaches(taped, bus, "frames", len(frames))
        assert counted(taped, bus, "error_frames") == sum(bool(flags & ERR) for _id, flags, _data in frames)
        assert counted(taped, bus, "bus_off") == 1
    assert len([name for name in taped.source(f":{vcan[0]}") if name.startswith("error_")]) == len(ERROR_CLASSES)
    assert taped.stop() == 0
    heard = tape(taped)
    for number, frames in enumerate(sent):
        got = [frame for frame in heard if frame.bus == number]
        assert [content(frame) for frame in got] == frames
        assert [frame.t_us for frame in got] == sorted(frame.t_us for frame in got)


def test_what_the_kernel_passes_on_malformed(taped: Terminal, vcan: tuple[Vcan, ...]) -> None:
    """Odd lengths, flags and reserved bytes are read as the frames they are; what is none is dropped and counted."""
    taped.tolerate("malformed")
    odd = odd_datagrams()
    for bus in vcan[:2]:
        with bus.sender() as sender:
            for data, _good in odd:
                sender.send(data)
    good = [frame for data, _fine in odd if (frame := oracle(data, 0)) is not None]
    assert len(good) == sum(fine for _data, fine in odd)
    for bus in vcan[:2]:
        reaches(taped, bus, "frames", len(good))
        reaches(taped, bus, "malformed", len(odd) - len(good))
    assert taped.stop() == 0
    for number in (0, 1):
        got = [f for f in tape(taped) if f.bus == number]
        assert [(f.can_id, f.flags, len(f.data)) for f in got] == [frame[:3] for frame in good]


def load(box: Terminal, buses: tuple[Vcan, ...], share: float) -> int:
    """Play so much of a full bus on each; how many frames the terminal lost. Says so."""
    frames = full_bus(LOAD_S, len(buses), share)
    told = sum(counted(box, bus) for bus in buses) + lost(box, buses) + len(frames)
    before = lost(box, buses)
    stats = play(buses, frames, speed=1.0)
    box.wait(
        "every frame is counted, as taken or as lost",
        lambda: sum(counted(box, bus) for bus in buses) + lost(box, buses) >= told,
    )
    missing = lost(box, buses) - before
    print(
        f"{len(buses)} bus(es) at {share:.0%}: {len(buses) * share * FULL_BUS:.0f} frames/s, "
        f"{missing} of {len(frames)} lost, sender {stats.late_max_us / 1e3:.0f} ms late at most"
    )
    return missing


@pytest.mark.parametrize("count", [1, 4])
def test_full_load(terminal: MakeTerminal, vcan: tuple[Vcan, ...], patience: Patience, count: int) -> None:
    """Full 1 Mbit/s buses, nothing lost; on a slow guest the highest share of them it stands, at least a quarter."""
    box = terminal(can=vcan[:count])
    for share in (1.0,) if patience.factor == 1 else (1.0, 0.5, 0.25):
        if not load(box, vcan[:count], share):
            return
        box.tolerate("socket_lost")  # the guest's limit is being looked for
    pytest.fail("frames are lost at the lowest share")


def test_burst_after_a_standstill(taped: Terminal, vcan: tuple[Vcan, ...]) -> None:
    """A process stopped for a while, as by a suspend, finds everything that came meanwhile, as far as buffers hold."""
    bus = vcan[0]
    count = round(taped.source(f":{bus}")["receive_buffer"] * BURST_SHARE / FRAME_BYTES)
    taped.signal(signal.SIGSTOP)
    play([bus], burst(count))
    taped.signal(signal.SIGCONT)
    reaches(taped, bus, "frames", count)
    assert lost(taped, vcan) == 0
    assert taped.stop() == 0
    assert [f.data for f in tape(taped)] == [n.to_bytes(8, "little") for n in range(count)]


def test_more_than_the_buffer_holds_is_counted(taped: Terminal, vcan: tuple[Vcan, ...]) -> None:
    """What does not fit while the process stands still is lost, and every single frame of it is counted as such."""
    taped.tolerate("socket_lost")
    bus = vcan[1]
    count = taped.source(f":{bus}")["receive_buffer"] // 256
    taped.signal(signal.SIGSTOP)
    play([bus], burst(count))
    taped.signal(signal.SIGCONT)
    taped.wait("the buffer is read", lambda: counted(taped, bus) > 0)
    last = burst(1)
    sent = count

    def all_told() -> bool:
        """The kernel tells of losses with the next frame that it does deliver."""
        nonlocal sent
        play([bus], last)
        sent += 1
        status = taped.source(f":{bus}")
        return bool(status["frames"] + status.get("socket_lost", 0) == sent - 1 and status.get("socket_lost"))

    taped.wait("frames taken and lost add up to those sent", all_told)


def burst(count: int) -> FrameBatch:
    """Numbered frames, all at once."""
    batch = FrameBatch()
    for n in range(count):
        batch.append(n, 0x100 + n % 0x600, n.to_bytes(8, "little"))
    return batch
