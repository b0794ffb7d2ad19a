"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test fails for being slow: machines are shared and noisy. A failure prints what repeats it.
settings.register_profile(
    "outrider", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)
settings.load_profile("outrider")

pytest_plugins = ("tests.support.postgres", "tests.support.sinks")
