"""How long the rig waits. One number stretches every bound, so that a guest without KVM is not mistaken for a fault."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

PATIENCE_VARIABLE: Final = "OUTRIDER_HIL_PATIENCE"
POLL_S: Final = 0.05


class Patience:
    """Bounds in seconds of a machine that is ``factor`` times slower than a bench computer."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    @classmethod
    def of_this_machine(cls) -> Patience:
        """From the environment, where the virtual machine sets it; 1 elsewhere."""
        return cls(float(os.environ.get(PATIENCE_VARIABLE, "1")))

    def bound_s(self, bench_s: float) -> float:
        """``bench_s``, the time that is ample on a bench computer, stretched for this one."""
        return bench_s * self.factor

    def wait(self, what: str, condition: Callable[[], object], bench_s: float = 30.0) -> None:
        """Until ``condition`` holds. Polls, since other processes and the kernel tell nobody; fails with ``what``."""
        bound_s = self.bound_s(bench_s)
        deadline = time.monotonic() + bound_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {bound_s:.0f} s: {what}"
            time.sleep(POLL_S)
