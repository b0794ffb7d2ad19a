"""Tables in native memory, shared by decoder and engine."""

from __future__ import annotations

from typing import Any

from outrider.engine.native import aligned, check, ffi, lib
from outrider.engine.tables import pack_tables
from outrider.errors import EngineError
from outrider.model.vehicle import VehicleTables


class NativeTables:
    """Compiled tables; ``ptr`` is valid as long as this object lives."""

    def __init__(self, tables: VehicleTables) -> None:
        self.blob = pack_tables(tables)
        size = lib.otr_tables_size(self.blob, len(self.blob))
        if size == 0:
            raise EngineError(f"tables of {tables.profile_id}: refused by the native side", lib.OTR_ERR_INVAL)
        self._owner, memory = aligned(size)
        out = ffi.new("const otr_tables **")
        check(lib.otr_tables_init(memory, size, self.blob, len(self.blob), out), f"tables of {tables.profile_id}")
        self.ptr: Any = out[0]

    @property
    def hash(self) -> int:
        """64-bit name of these tables, as it stands in a tape."""
        return int(lib.otr_tables_hash(self.ptr))

    @property
    def max_values(self) -> int:
        return int(lib.otr_tables_max_values(self.ptr))
