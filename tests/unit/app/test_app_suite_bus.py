"""A bus that two runs want."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from outrider.app.suite_bus import alone_on

ONE, TWO = (f"test{number}-{os.getpid()}" for number in (1, 2))


def test_one_after_the_other(caplog: pytest.LogCaptureFixture) -> None:
    """Who comes second waits, says for what, and goes on when the first is done; the order of names is no matter."""
    order: list[str] = []
    told = threading.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    def second() -> None:
        with alone_on([TWO, ONE]):
            order.append("second")

    handler = Told()
    logging.getLogger("outrider.app.suite_bus").addHandler(handler)
    try:
        with alone_on([ONE, TWO]):
            other = threading.Thread(target=second)
            other.start()
            assert told.wait(60)
            order.append("first")
        other.join(60)
    finally:
        logging.getLogger("outrider.app.suite_bus").removeHandler(handler)
    assert order == ["first", "second"]
    assert ONE in caplog.text


def test_other_buses_are_not_waited_for() -> None:
    """Nor is one that was given back, also by an error."""
    with alone_on([ONE]), alone_on([TWO]):
        pass
    with pytest.raises(KeyError), alone_on([ONE]):
        raise KeyError
    with alone_on([ONE]):
        pass
