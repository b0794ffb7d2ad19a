"""``outrider data`` and ``outrider wear``: beside a daemon and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from outrider.app.budget import FILE_NAME, SLOT_BYTES, month_documents, summary
from outrider.app.control import ControlServer
from outrider.app.wear import KeptWear, wear_document
from outrider.cli.data_line import data_line
from outrider.cli.data_view import WIDTH, bar, size
from outrider.cli.main import main
from outrider.model.network import Path as NetworkPath
from outrider.record.state import TwoSlotFile
from outrider.record.storage_io import DirectoryStorage
from outrider.uplink.budget import Budget, BudgetOptions
from outrider.uplink.usage import Usage

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))
NOVEMBER = 1_795_000_000_000_000  # 2026-11-18
OCTOBER = NOVEMBER - 30 * 86_400_000_000


def usage() -> Usage:
    made = Usage()
    found = {"telemetry": (5_000_000, 0), "ack": (0, 900_000), "rest": (700_000, 300_000), "ip": (800_000, 700_000)}
    made.add(found, NetworkPath.CELLULAR, metered=True, utc_us=OCTOBER, sure=True)
    made.add(found, NetworkPath.CELLULAR, metered=True, utc_us=NOVEMBER, sure=True)
    made.add({"bulk": (2_000_000, 0), "rest": (5, -3)}, NetworkPath.WIFI, metered=False, utc_us=NOVEMBER, sure=True)
    return made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "outrider.toml"
    path.write_text(
        f'[terminal]\ndata_directory = "data"\ncontrol_socket = "{tmp_path / "control.sock"}"\n'
        '[uplink]\nhost = "broker"\n[uplink.budget]\nmonthly_mb = 10\n',
        encoding="utf-8",
    )
    return path


def keep(config: Path, data: bytes) -> None:
    directory = config.parent / "data" / "meters"
    directory.mkdir(parents=True)
    storage = DirectoryStorage(directory)
    file = TwoSlotFile.open(storage, FILE_NAME, SLOT_BYTES)
    file.write(data)
    file.close()
    storage.close()


def output(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def checked(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    jsonschema.validate(document, {"$ref": f"#/$defs/{document['type']}", "$defs": SCHEMA["$defs"]})
    return document


@pytest.fixture
def daemon(config: Path) -> Iterator[list[dict[str, Any]]]:
    """A control socket that answers as the daemon does; the requests it got."""
    seen: list[dict[str, Any]] = []
    made, budget = usage(), Budget(BudgetOptions(bulk_wifi=True))

    def rules() -> dict[str, Any]:
        from outrider.model.network import NetworkState

        return budget.rules(0, NetworkState(NetworkPath.CELLULAR)).document()

    def data(_request: dict[str, Any]) -> dict[str, Any]:
        more = {"rules": rules(), "watched_for_s": 0, "path": "cellular", "evidence_due": False}
        return {**summary(made, 10_000_000, NOVEMBER), **more, **month_documents(made)}

    def watch(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        budget.watch(10**9)
        return {"rules": rules()}

    def wear(_request: dict[str, Any]) -> dict[str, Any]:
        return wear_document(KeptWear(), None)

    commands = {"data": data, "watch": watch, "wear": wear}
    server = ControlServer(config.parent / "control.sock", dict, commands)
    server.start()
    yield seen
    server.stop()


def test_without_a_daemon_what_is_on_flash_is_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The month's sums, by class, path and month, against the limit of the configuration."""
    keep(config, usage().encode(SLOT_BYTES))
    document = checked(output(capsys, "data", "--config", config, "--json"))
    assert (document["month"], document["used_bytes"], document["limit_bytes"]) == ("2026-11", 8_400_000, 10_000_000)
    assert [month["month"] for month in document["months"]] == ["2026-11", "2026-10"]
    page = output(capsys, "data", "--config", config)
    for words in ("8.4 MB of 10.0 MB", "84 %", "telemetry", "wifi", "2026-10", "No daemon runs", "┃"):
        assert words in page, page
    october = output(capsys, "data", "--config", config, "--month", "2026-10")
    assert "wifi" not in october
    assert "5.0 MB" in october


def test_a_running_daemon_is_asked(
    config: Path, daemon: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It knows the plan in force and why, and what waits."""
    document = checked(output(capsys, "data", "--config", config, "--json"))
    assert document["rules"]["held"] == "bulk_wifi"
    page = output(capsys, "data", "--config", config)
    for words in ("plan moving: a batch every 60 s (as configured)", "cellular, metered", "held back: bulk"):
        assert words in page, page


def test_watching(config: Path, daemon: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """Minutes become seconds; the answer is the plan that follows."""
    assert "watched: a batch every 10 s" in output(capsys, "data", "watch", "--config", config, 5)
    document = checked(output(capsys, "data", "watch", "--config", config, "--json"))
    assert document["rules"]["plan"] == "watched"
    assert [request["seconds"] for request in daemon] == [300.0, 900.0]


def test_nobody_to_ask_and_nothing_kept(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear error each: no daemon to watch with, nothing counted yet, a damaged file, a month that was not."""
    for arguments, words in (
        (("data", "watch"), "is `outrider run` running?"),
        (("data",), "nothing was counted yet"),
        (("wear",), "no such directory"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--config", str(config)])
        assert stopped.value.code in (69, 74)
        assert words in capsys.readouterr().err
    keep(config, b"\xff nonsense")
    with pytest.raises(SystemExit) as stopped:
        main(["data", "--config", str(config)])
    assert stopped.value.code == 74
    assert capsys.readouterr().err.startswith("error: no data usage")


def test_an_unknown_month_names_the_known_ones(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(config, usage().encode(SLOT_BYTES))
    with pytest.raises(SystemExit) as stopped:
        main(["data", "--config", str(config), "--month", "2020-01"])
    assert stopped.value.code == 2
    assert "2026-11, 2026-10" in capsys.readouterr().err


def test_wear_of_this_machine(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a daemon: what is on flash, and the device as it is now; assumptions of one's own give one number."""
    (config.parent / "data").mkdir()
    document = checked(output(capsys, "wear", "--config", config, "--json"))
    assert document["total"]["device"] == 0
    assert "not known before a day has passed" in output(capsys, "wear", "--config", config)
    with pytest.raises(SystemExit) as stopped:
        main(["wear", "--config", str(config), "--cycles", "3000"])
    assert stopped.value.code == 2
    assert "go together" in capsys.readouterr().err


def test_wear_beside_a_daemon(config: Path, daemon: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    document = checked(output(capsys, "wear", "--config", config, "--json", "--cycles", "3000", "--amplification", "4"))
    assert document["years"]["assumed"] is None
    assert "memory or on a network" in output(capsys, "wear", "--config", config)


def test_the_line_of_the_status() -> None:
    """Used and limit, plan and why, what is held; what cannot be kept is said."""
    budget = Budget(BudgetOptions(monthly_bytes=10_000_000))
    budget.used_bytes = 9_600_000
    document = summary(usage(), 10_000_000, NOVEMBER)
    from outrider.model.network import NetworkState

    document["rules"] = budget.rules(0, NetworkState()).document()
    assert data_line(document) == "8.4 of 10.0 MB in 2026-11, plan low (limit_80), held back: limit_95"
    document |= {"limit_bytes": None, "month": None, "error": "disk full"}
    assert data_line(document).startswith("8.4 MB in month not known yet")
    assert data_line(document).endswith("not kept on flash: disk full")


def test_bars_and_sizes() -> None:
    """A bar never leaves its width, and what is not nothing is seen."""
    assert bar(0.0) == ""
    assert bar(1e-9) == "▏"
    assert bar(5.0) == "█" * WIDTH
    assert len(bar(0.9999)) <= WIDTH
    assert [size(n) for n in (0, 999, 1000, 12_345_678, 5 * 10**9, -5)] == [
        "0 B", "999 B", "1.0 kB", "12.3 MB", "5.00 GB", "-5 B",
    ]  # fmt: skip
