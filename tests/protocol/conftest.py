"""Property tests that find the same on every machine, however busy it is."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The clock judges the machine and not the code, and a run must be repeatable.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
