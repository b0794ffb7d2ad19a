"""A modem as JSON, identities masked unless they are asked for (docs/reference/cli-schema.json, ``modem``)."""

from __future__ import annotations

from typing import Any

from outrider.network.grades import measures, overall
from outrider.network.modem import Bearer, Modem, Sim, mask, mask_imsi
from outrider.network.names import FailedReason


def modem_document(modem: Modem, *, show_ids: bool = False) -> dict[str, Any]:
    """Units are in the names. The number of the subscriber is in none of it."""
    grade = overall(modem.signal)
    failed = modem.failed_reason is not FailedReason.NONE
    return {
        "path": modem.path,
        "manufacturer": modem.manufacturer,
        "model": modem.model,
        "firmware": modem.firmware,
        "imei": modem.imei if show_ids else mask(modem.imei),
        "plugin": modem.plugin,
        "ports": [{"name": name, "type": kind} for name, kind in modem.ports],
        "state": modem.state.word,
        "failed_reason": modem.failed_reason.word if failed else None,
        "power": modem.power.word,
        "lock": modem.lock.word,
        "unlock_retries": modem.unlock_retries,
        "registration": None if modem.registration is None else modem.registration.word,
        "roaming": modem.roaming,
        "operator_name": modem.operator_name,
        "operator_code": modem.operator_code,
        "technology": modem.technology,
        "quality_percent": modem.quality_percent,
        "signal": {
            "grade": None if grade is None else grade.word,
            "dbm": modem.signal.dbm,
            "rate_s": modem.signal_rate_s,
            "values": [
                {"name": m.scale.name, "value": m.value, "unit": m.scale.unit, "grade": m.grade.word}
                for m in measures(modem.signal)
            ],
        },
        "sim": None if modem.sim is None else _sim(modem.sim, show_ids=show_ids),
        "bearers": [_bearer(bearer) for bearer in modem.bearers],
        "location_sources": list(modem.location),
        "odd_properties": list(modem.odd),
    }


def _sim(sim: Sim, *, show_ids: bool) -> dict[str, Any]:
    return {
        "iccid": sim.iccid if show_ids else mask(sim.iccid),
        "imsi": sim.imsi if show_ids else mask_imsi(sim.imsi),
        "operator_code": sim.operator_code,
        "operator_name": sim.operator_name,
    }


def _bearer(bearer: Bearer) -> dict[str, Any]:
    return {
        "connected": bearer.connected,
        "suspended": bearer.suspended,
        "interface": bearer.interface,
        "apn": bearer.apn,
        "address": bearer.address,
        "address6": bearer.address6,
        "dns": list(bearer.dns),
        "rx_bytes": bearer.rx_bytes,
        "tx_bytes": bearer.tx_bytes,
        "duration_s": bearer.duration_s,
        "error": bearer.error,
    }
