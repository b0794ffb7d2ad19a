"""The mounting kept beside the journal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.errors import JournalError
from outrider.record.mounting import FILE_NAME, KeptMounting, MountingFile
from outrider.record.state import TwoSlotFile
from outrider.record.storage_memory import MemoryStorage

KEPT = KeptMounting(profile="simcar", sensor="can", up=(0.0, 0.0, 1.0), forward=(1.0, 0.0, 0.0), rho=0.9, age_s=600.0)


def test_what_was_written_is_read() -> None:
    """The newest, also by another process; nothing before the first and after it was forgotten."""
    storage = MemoryStorage()
    with MountingFile(storage) as file:
        assert file.read() is None
        file.write(KEPT)
    with MountingFile(storage) as file:
        assert file.read() == KEPT
        file.write(None)
        assert file.read() is None


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[" * 2000,
        b"\xff",
        b'{"version":2,"profile":"p","sensor":"can","up":[0,0,1],"forward":[1,0,0],"rho":0.9,"age_s":1}',
        b'{"version":1,"profile":"p","sensor":"can","up":[0,0,2],"forward":[1,0,0],"rho":0.9,"age_s":1}',
        b'{"version":1,"profile":"p","sensor":"can","up":[0,0,1],"forward":[0,0,1],"rho":0.9,"age_s":1}',
        b'{"version":1,"profile":"p","sensor":"can","up":[0,0,1],"forward":[1,0,0],"rho":-1,"age_s":1}',
    ],
)
def test_what_is_no_mounting_is_said(data: bytes) -> None:
    """Axes that cannot be would turn every verdict: none is better."""
    storage = MemoryStorage()
    TwoSlotFile.open(storage, FILE_NAME).write(data)
    with pytest.raises(JournalError, match="mounting"):
        MountingFile(storage).read()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_mounting_or_an_error(data: bytes) -> None:
    """Nothing else comes out."""
    storage = MemoryStorage()
    TwoSlotFile.open(storage, FILE_NAME).write(data)
    try:
        kept = MountingFile(storage).read()
    except JournalError:
        return
    assert kept is None or kept.sensible
