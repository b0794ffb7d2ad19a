"""The bundled OBD-II profile: J1979 formulas, frame conditions, all ECUs; cross-checked with another table."""

from __future__ import annotations

from functools import cache

import pytest

from outrider.engine import Decoder
from outrider.model.frame import EFF, FrameBatch
from outrider.model.vehicle import Role
from outrider.profile.load_io import LoadedProfile, load_profile


@cache
def profile() -> LoadedProfile:
    return load_profile(["obd2"])


@cache
def decoder() -> Decoder:
    return Decoder(profile().tables)


def decode(data: bytes | str, frame_id: int = 0x7E8, flags: int = 0) -> dict[str, float]:
    batch = FrameBatch()
    batch.append(0, frame_id, bytes.fromhex(data) if isinstance(data, str) else data, flags)
    decoded = decoder().decode(batch)
    slots = profile().tables.slots
    return {slots[s].path.removeprefix("Vehicle.OBD."): v for s, v in zip(decoded.slots, decoded.values, strict=True)}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("04410C1AF8AAAAAA", {"EngineSpeed": 1726.0}),
        ("03410D7BAAAAAAAA", {"Speed": 123.0}),
        ("0341057BAAAAAAAA", {"CoolantTemperature": 83.0}),
        ("034104FFAAAAAAAA", {"EngineLoad": 100.0}),
        ("0441101234AAAAAA", {"MAF": 46.6}),
        ("034111FF00000000", {"ThrottlePosition": 100.0}),
        ("0341068000000000", {"ShortTermFuelTrim1": 0.0}),
        ("04411F012C000000", {"RunTime": 300.0}),
        ("0441423412000000", {"ControlModuleVoltage": 13.33}),
        ("034133650000", {"BarometricPressure": 101.0}),
        ("044132FFFC000000", {"EVAPVaporPressure": -1.0}),
        ("06412480004000AA", {"O2WR.Sensor1.Lambda": 1.0, "O2WR.Sensor1.Voltage": 2.0}),
        ("06413480008000AA", {"O2WR.Sensor1.LambdaByCurrent": 1.0, "O2WR.Sensor1.Current": 0.0}),
        ("04413C113D000000", {"Catalyst.Bank1.Temperature1": 401.3}),
        ("04415E00A0000000", {"FuelRate": 8.0}),
        ("0641A60001E240AA", {"Odometer": 12345600.0}),
        ("0641018307650400", {"Status.IsMILOn": 1.0, "Status.DTCCount": 3.0}),
        ("0741647D80828587", {"TorqueAtIdle": 0.0, "TorqueAtPoint1": 3.0, "TorqueAtPoint2": 5.0, "TorqueAtPoint3": 8.0,
                              "TorqueAtPoint4": 10.0}),
        ("034100BE1FA813", {}),
        ("0441FE0102000000", {}),
    ],
)  # fmt: skip
def test_formulas(data: str, expected: dict[str, float]) -> None:
    """Answers as they are on the bus and what they mean; a bitmap of supported PIDs or an unknown PID means nothing."""
    assert decode(data) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(
    "data",
    [
        "02010D0000000000",  # a request
        "03430D7B00000000",  # another service
        "037F011200000000",  # refused
        "1008410D7B000000",  # first frame of a longer answer
        "21410D7B00000000",  # consecutive frame
        "03410D",  # cut off
        "",
    ],
)
def test_only_whole_single_frame_answers_count(data: str) -> None:
    """Requests, refusals, other services, pieces of longer answers and cut frames give no value."""
    assert decode(data) == {}


@pytest.mark.parametrize(
    ("frame_id", "flags", "heard"),
    [
        *[(frame_id, 0, True) for frame_id in range(0x7E8, 0x7F0)],
        (0x18DAF110, EFF, True),
        (0x18DAF1EF, EFF, True),
        (0x7DF, 0, False),
        (0x7E0, 0, False),
        (0x7E8, EFF, False),
        (0x18DB33F1, EFF, False),
    ],
)
def test_every_ecu_is_heard_and_no_tester(frame_id: int, flags: int, heard: bool) -> None:
    """7E8..7EF and any 29-bit source address."""
    assert decode("03410D3200000000", frame_id, flags) == ({"Speed": 50.0} if heard else {})


def test_roles_for_the_detector() -> None:
    """OBD speed is marked as such: it is slow and repeats, so other rules apply to it."""
    roles = {s.role: s.path for s in profile().tables.slots if s.role != Role.NONE}
    assert roles == {
        Role.SPEED_OBD: "Vehicle.OBD.Speed",
        Role.RPM: "Vehicle.OBD.EngineSpeed",
        Role.SUPPLY_V: "Vehicle.OBD.ControlModuleVoltage",
        Role.ODOMETER: "Vehicle.OBD.Odometer",
    }
    assert all(m.obd for m in profile().tables.messages)


_COMPARED_AT_LEAST = 70


def test_numbers_agree_with_an_independent_table() -> None:
    """Every PID for which the py-obdii package has a formula gives the same number for many raw values."""
    pytest.importorskip("obdii", reason="needs the py-obdii package: pip install py-obdii")
    compared = 0
    for pid, expressions in sorted(_their_formulas().items()):
        for raw in (b"\x00" * 5, b"\xff" * 5, b"\x12\x34\x56\x78\x9a", b"\x80\x01\x7f\xfe\x40"):
            mine = sorted(decode(bytes([0x07, 0x41, pid]) + raw).values())
            if not mine:
                break  # a frame of several bytes that has no single-frame answer
            scale = 1000 if pid == 0xA6 else 1  # metres here, kilometres there
            theirs = sorted(_value(e, raw) * scale for e in expressions)
            assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-6), hex(pid)
        else:
            compared += 1
    assert compared >= _COMPARED_AT_LEAST


def _their_formulas() -> dict[int, list[str]]:
    """PID -> formulas over the bytes A, B, ..."""
    from obdii.modes.mode_01 import Mode01
    from obdii.parsers.formula import Formula, MultiFormula

    found: dict[int, list[str]] = {}
    for name in dir(Mode01):
        command = getattr(Mode01, name)
        resolver = getattr(command, "resolver", None)
        if isinstance(resolver, MultiFormula):
            found[command.pid] = [formula.expression for formula in resolver.formulas]
        elif isinstance(resolver, Formula):
            found[command.pid] = [resolver.expression]
    return found


def _value(expression: str, raw: bytes) -> float:
    return float(eval(expression, {"__builtins__": {}}, dict(zip("ABCDE", raw, strict=True))))
