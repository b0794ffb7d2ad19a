"""The generated module is what the compiler makes of the proto file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DAEMON = Path(__file__).parents[3] / "daemon"
WIRE = DAEMON / "outrider" / "wire"


def test_generated_code_is_up_to_date(tmp_path: Path) -> None:
    """Regenerates outrider_pb2.py and compares the descriptor, the part that decides what is on the wire."""
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed (pip install -e '.[dev]')")
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I.",
        f"--python_out={tmp_path}",
        "outrider/wire/outrider.proto",
    ]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHONWARN")}
    subprocess.run(command, cwd=DAEMON, env=env, check=True, capture_output=True, timeout=120)
    assert descriptor(tmp_path / "outrider" / "wire" / "outrider_pb2.py") == descriptor(WIRE / "outrider_pb2.py"), (
        "run in daemon/: python -m grpc_tools.protoc -I. --python_out=. --mypy_out=. outrider/wire/outrider.proto"
    )


def descriptor(path: Path) -> str:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "AddSerializedFile" in line]
    assert len(lines) == 1
    return lines[0]


def test_the_type_stub_names_every_message() -> None:
    """outrider_pb2.pyi was generated along."""
    from outrider.wire import outrider_pb2

    stub = (WIRE / "outrider_pb2.pyi").read_text(encoding="utf-8")
    for name, message in outrider_pb2.DESCRIPTOR.message_types_by_name.items():
        assert f"class {name}(" in stub
        assert all(f"{field.name.upper()}_FIELD_NUMBER" in stub for field in message.fields)
