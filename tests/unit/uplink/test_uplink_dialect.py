"""Choice of the MQTT version, and waiting between connections."""

from __future__ import annotations

from outrider.uplink.dialect import Backoff, Dialect, Version


def test_a_hang_up_changes_the_version_until_one_is_accepted() -> None:
    dialect = Dialect()
    assert dialect.version is Version.V5
    dialect.hung_up()
    assert dialect.version is Version.V311
    dialect.hung_up()
    assert dialect.version is Version.V5


def test_an_accepted_version_is_not_given_up_for_one_hang_up() -> None:
    """A broker that restarts hangs up too."""
    dialect = Dialect()
    dialect.accepted()
    dialect.hung_up()
    dialect.hung_up()
    assert dialect.version is Version.V5
    dialect.hung_up()
    assert dialect.version is Version.V311


def test_a_refusal_by_name_is_believed_at_once() -> None:
    dialect = Dialect()
    dialect.accepted()
    dialect.refused()
    assert dialect.version is Version.V311


def test_backoff_grows_with_jitter_and_stays_below_the_cap() -> None:
    """The bound doubles; the wait is random below it, never zero; a reset starts again."""
    backoff = Backoff(1.0, 300.0)
    waits = [backoff.next_s() for _ in range(200)]
    assert all(0.2 <= wait <= 300 for wait in waits)
    assert waits[0] <= 1.0
    assert max(waits) > 100
    assert len(set(waits)) > 150
    backoff.reset()
    assert backoff.next_s() <= 1.0
