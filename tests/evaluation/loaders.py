"""The recordings as samples of the detector. Nothing of them is kept in the project; decoded arrays go to a temp dir.

Each loader raises ``MissingError`` naming the file that is not there; tests turn it into a skip.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.native import motion_harness as mh

ROOT = Path(__file__).parents[2]
Array = npt.NDArray[np.float64]


class MissingError(FileNotFoundError):
    """A recording is not at hand."""


def data_dir() -> Path:
    return Path(os.environ.get("OUTRIDER_DATA", ROOT.parent / "shared" / "data"))


def need(*parts: str) -> Path:
    path = data_dir().joinpath(*parts)
    if not path.exists():
        raise MissingError(f"{path} is missing; point OUTRIDER_DATA to the folder of recordings")
    return path


# ---- A: windows around crashes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    name: str
    label: str
    samples: mh.Samples
    acc: Array  # g


def vzcrash() -> list[Window]:
    out = []
    for path in sorted(need("vzcrash").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        channels = record["channels"]
        acc = np.stack([np.asarray(channels[f"accel_{k}"]["v"], dtype=float) for k in "xyz"], axis=1)
        gyro = np.stack([np.asarray(channels[f"gyro_{k}"]["v"], dtype=float) for k in "xyz"], axis=1)
        t = np.arange(len(acc)) / channels["accel_x"]["sr_hz"]
        parts = [mh.imu(t, acc * mh.G, np.radians(gyro[: len(acc)]))]
        speed = [channels[name] for name in channels if "speed" in name]
        if speed:
            v = np.asarray(speed[0]["v"], dtype=float)
            good = np.isfinite(v)
            parts.append(mh.gnss(np.arange(len(v))[good] / speed[0]["sr_hz"], v[good] / 3.6))
        out.append(Window(path.stem, record["label"], mh.merge(*parts), acc))
    return out


# ---- the drive with IMU, GNSS and OBD on CAN --------------------------------------------------------------------


@dataclass(frozen=True)
class Drive:
    name: str
    imu: Array  # t s, ax ay az m/s2, gx gy gz rad/s, valid
    speed: Array  # t s, m/s
    heading: Array  # t s, rad
    obd_speed: Array  # t s, m/s
    rpm: Array  # t s, 1/min

    @property
    def seconds(self) -> float:
        return float(self.imu[-1, 0] - self.imu[0, 0])

    def imu_samples(self, acc: Array | None = None) -> mh.Samples:
        out = mh.imu(self.imu[:, 0], self.imu[:, 1:4] if acc is None else acc, self.imu[:, 4:7], src=mh.IMU_CAN)
        out["q"] = np.where(self.imu[:, 7] > 0, mh.VALID, 0)
        return out

    def gnss_samples(self) -> mh.Samples:
        heading = np.interp(self.speed[:, 0], self.heading[:, 0], np.unwrap(self.heading[:, 1])) % (2 * np.pi)
        return mh.gnss(self.speed[:, 0], self.speed[:, 1], heading, src=mh.GNSS_CAN, first=1)

    def obd_samples(self) -> mh.Samples:
        speed = mh.scalar(mh.SPEED, self.obd_speed[:, 0], self.obd_speed[:, 1], mh.OBD, res=1 / 3.6)
        return mh.merge(speed, mh.scalar(mh.RPM, self.rpm[:, 0], self.rpm[:, 1], mh.OBD))

    def samples(self) -> mh.Samples:
        end = float(self.imu[-1, 0])
        return mh.merge(self.imu_samples(), self.gnss_samples(), self.obd_samples(), mh.ticks(0, end, end))


def _signal(data: npt.NDArray[np.uint8], start: int, bits: int, factor: float, offset: float) -> Array:
    raw = np.zeros(len(data), dtype=np.uint64)
    for i in range(8):
        raw |= data[:, i].astype(np.uint64) << np.uint64(8 * i)
    return ((raw >> np.uint64(start)) & np.uint64((1 << bits) - 1)).astype(float) * factor + offset


def _read_frames(path: Path) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    import can

    times, ids, rows = [], [], []
    with can.MF4Reader(str(path)) as reader:
        for message in reader:
            times.append(message.timestamp)
            ids.append(message.arbitration_id)
            rows.append(bytes(message.data[:8]).ljust(8, b"\0"))
    t = np.asarray(times)
    return t - t[0], np.asarray(ids), np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 8)


def _decode(path: Path) -> dict[str, Array]:
    t, ids, data = _read_frames(path)

    def rows(number: int) -> tuple[Array, npt.NDArray[np.uint8]]:
        pick = ids == number
        return t[pick], data[pick]

    ti, di = rows(9)
    acc = [_signal(di, 1 + 10 * k, 10, 0.125, -64) for k in range(3)]
    rate = [np.radians(_signal(di, 31 + 11 * k, 11, 0.25, -256)) for k in range(3)]
    ts, ds = rows(7)
    valid = _signal(ds, 0, 1, 1, 0) > 0
    th, dh = rows(5)
    good = _signal(dh, 0, 1, 1, 0) > 0
    to, do = rows(0x7E8)
    v, r = do[:, 2] == 0x0D, do[:, 2] == 0x0C
    return {
        "imu": np.column_stack([ti, *acc, *rate, _signal(di, 0, 1, 1, 0)]),
        "speed": np.column_stack([ts, _signal(ds, 1, 20, 0.001, 0)])[valid],
        "heading": np.column_stack([th, np.radians(_signal(dh, 43, 12, 0.1, 0))])[good],
        "obd_speed": np.column_stack([to[v], do[v, 3] / 3.6]),
        "rpm": np.column_stack([to[r], (do[r, 3] * 256.0 + do[r, 4]) / 4]),
    }


def canedge() -> list[Drive]:
    out = []
    cache = Path(tempfile.gettempdir()) / f"outrider-decoded-{os.getuid()}"
    cache.mkdir(exist_ok=True, mode=0o700)
    for path in sorted(need("canedge", "164").glob("*.MF4")):
        key = hashlib.sha256(f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}:1".encode()).hexdigest()[:16]
        kept = cache / f"{key}.npz"
        if not kept.exists():
            partial = cache / f"{key}.{os.getpid()}.npz"
            np.savez(partial, **_decode(path))  # type: ignore[arg-type]  # numpy types the keyword names as bool
            partial.rename(kept)
        with np.load(kept) as arrays:
            out.append(Drive(path.stem, **{name: arrays[name] for name in arrays.files}))
    return out


# ---- delta-V curves and accelerometer traces of crashes ----------------------------------------------------------


@dataclass(frozen=True)
class Pulse:
    name: str
    t: Array  # s from the zero of the recorder
    dv: Array  # n x 2 [km/h]: along, to the left

    @property
    def size(self) -> float:
        """Largest |delta-V| within 300 ms [km/h]."""
        return float(np.linalg.norm(self.dv[self.t <= 0.3001], axis=1).max())


def _curve(channel: dict[str, Any] | None) -> tuple[Array, Array]:
    if channel is None:
        return np.array([0.0, 0.3]), np.array([0.0, 0.0])
    v, t = np.asarray(channel["v"], dtype=float), np.asarray(channel["t"], dtype=float)
    good = np.isfinite(v) & (t >= 0)
    if t[good][0] > 0:
        return np.append(0.0, t[good]), np.append(0.0, v[good])
    return t[good], v[good]


def ciss() -> list[Pulse]:
    out = []
    for path in sorted(need("ciss-edr").glob("*.json")):
        channels = json.loads(path.read_text(encoding="utf-8"))["channels"]
        along = next((c for n, c in channels.items() if "long" in n), None)
        across = next((c for n, c in channels.items() if "lat" in n), None)
        (tx, x), (ty, y) = _curve(along), _curve(across)
        t = np.unique(np.concatenate([[0.0], tx, ty]))
        # the recorder's y axis is to the right (SAE J1733); ours to the left
        out.append(Pulse(path.stem, t, np.column_stack([np.interp(t, tx, x), -np.interp(t, ty, y)])))
    return out


def nhtsa(channel: str) -> tuple[Array, Array]:
    """Time [s] and value [g] of one channel of test 10146, 10 kHz."""
    table = np.loadtxt(need("nhtsa", f"v10146.{channel}"))
    return table[:, 0], table[:, 1]


# ---- others --------------------------------------------------------------------------------------------------------


def potholes() -> dict[str, list[Array]]:
    """Vertical acceleration [m/s2] at 50 Hz by kind of road."""
    root = need("potholes")
    return {
        folder.name: [np.loadtxt(p, skiprows=1, ndmin=1) for p in sorted(folder.glob("*.csv"))]
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }


@dataclass(frozen=True)
class Trip:
    name: str
    samples: mh.Samples
    truth: list[tuple[str, float, float]]
    seconds: float


def harsh_trip(name: str) -> Trip:
    folder = need("harsh-jair", name)

    def table(file: str) -> Array:
        return np.loadtxt(need("harsh-jair", name, file), delimiter=",", skiprows=1, usecols=(1, 2, 3, 4))

    acc, gyro = table("acelerometro_terra.csv"), table("giroscopio_terra.csv")
    acc = acc[np.argsort(acc[:, 0], kind="stable")]
    t = (acc[:, 0] - acc[0, 0]) * 1e-9
    tg = (gyro[:, 0] - acc[0, 0]) * 1e-9
    rates = np.stack([np.interp(t, tg, gyro[:, k]) for k in (1, 2, 3)], axis=1)
    with (folder / "groundTruth.csv").open(encoding="utf-8") as file:
        truth = [(row[0], float(row[1]), float(row[2])) for row in list(csv.reader(file))[1:] if row]
    return Trip(name, mh.imu(t, acc[:, 1:], rates), truth, float(t[-1]))


def obd_etios() -> dict[str, tuple[Array, Array, Array]]:
    """Time [s], speed [m/s], rpm by file. The file's time is whole seconds; its rows are spread evenly over them."""
    out = {}
    for path in sorted(need("obd-etios").glob("*.csv")):
        table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 2), ndmin=2)
        out[path.stem] = (np.linspace(0, table[-1, 0], len(table)), table[:, 2] / 3.6, table[:, 1])
    return out
