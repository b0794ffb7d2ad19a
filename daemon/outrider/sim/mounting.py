"""How a sensor sits in the car: rotation matrices and what is done with them. Pure.

A matrix has the sensor's axes in the car's as rows: sensor = matrix * car.
"""

from __future__ import annotations

import math

from outrider.sim.tables import Mounting

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]


def mounting_matrix(mounting: Mounting) -> Matrix:
    """Rows are the sensor's axes in the car's: sensor = matrix * car.

    The sensor is turned by yaw about z, then pitch about its new y, then roll about its new x (ISO 8855 angles).
    """
    cy, sy = math.cos(math.radians(mounting.yaw_deg)), math.sin(math.radians(mounting.yaw_deg))
    cp, sp = math.cos(math.radians(mounting.pitch_deg)), math.sin(math.radians(mounting.pitch_deg))
    cr, sr = math.cos(math.radians(mounting.roll_deg)), math.sin(math.radians(mounting.roll_deg))
    return (
        (cy * cp, sy * cp, -sp),
        (cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, cp * sr),
        (cy * sp * cr + sy * sr, sy * sp * cr - cy * sr, cp * cr),
    )


def applied(m: Matrix, v: Vector) -> Vector:
    """The vector in the sensor's axes."""
    x, y, z = (row[0] * v[0] + row[1] * v[1] + row[2] * v[2] for row in m)
    return x, y, z


def product(a: Matrix, b: Matrix) -> Matrix:
    """First ``b``, then ``a``."""
    columns = transposed(b)
    return applied(columns, a[0]), applied(columns, a[1]), applied(columns, a[2])


def transposed(m: Matrix) -> Matrix:
    """The way back: from the sensor's axes to the car's."""
    (a, b, c), (d, e, f), (g, h, i) = m
    return (a, d, g), (b, e, h), (c, f, i)


def turned(m: Matrix, axis: Vector, angle: float) -> Matrix:
    """The sensor turned by ``angle`` [rad] about ``axis`` (unit vector in its own axes)."""
    cos, sin = math.cos(-angle), math.sin(-angle)
    x, y, z = axis
    k = 1.0 - cos
    rotation = (
        (cos + x * x * k, x * y * k - z * sin, x * z * k + y * sin),
        (y * x * k + z * sin, cos + y * y * k, y * z * k - x * sin),
        (z * x * k - y * sin, z * y * k + x * sin, cos + z * z * k),
    )
    return product(rotation, m)


def axis_and_angle(a: Matrix, b: Matrix) -> tuple[Vector, float]:
    """The one turn of the sensor (in its own axes) that takes it from ``a`` to ``b``; angle 0..pi."""
    # b = R(-angle) a, so R(-angle) = b a^T
    r = product(b, transposed(a))
    cosine = max(-1.0, min(1.0, (r[0][0] + r[1][1] + r[2][2] - 1.0) / 2.0))
    angle = math.acos(cosine)
    if angle < 1e-9:
        return (0.0, 0.0, 1.0), 0.0
    if math.pi - angle < 1e-6:
        return _half_turn(r), angle
    s = 2.0 * math.sin(angle)
    return ((r[1][2] - r[2][1]) / s, (r[2][0] - r[0][2]) / s, (r[0][1] - r[1][0]) / s), angle


def _half_turn(r: Matrix) -> Vector:
    """Axis of a half turn: the longest column of (r + 1)/2."""
    columns = [tuple((r[i][j] + (i == j)) / 2.0 for i in range(3)) for j in range(3)]
    best = max(columns, key=lambda column: sum(value * value for value in column))
    length = math.sqrt(sum(value * value for value in best))
    return best[0] / length, best[1] / length, best[2] / length
