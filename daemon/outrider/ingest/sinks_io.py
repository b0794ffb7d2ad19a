"""Opening a sink by its URL: which database, which shelf, and whether others may write it at the same time."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from outrider.ingest.lock_io import locked
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.store_io import Store


def open_sink(options: ReceiverOptions) -> Store:
    """The sink that the options name, for one worker on the calling thread; close it at the end. ConfigError: no such
    sink. InputError or JournalError: the database cannot be opened. JournalLockedError: it takes one worker, and
    another has it."""
    return _sqlite(options.database, options.max_dead_letters)


def _sqlite(path: Path, max_dead_letters: int) -> Store:
    with ExitStack() as stack:
        stack.enter_context(locked(path))
        store = Store.open(path, max_dead_letters=max_dead_letters)
        store.at_close(stack.pop_all().close)
        return store
