"""The one exception tree.

::

    OutriderError
    ├── BugError (AssertionError)         ours: report it
    ├── InputError (ValueError)           theirs: file, frame, sentence, message
    │   ├── ProfileError                  DBC, overlay, profile
    │   ├── ConfigError                   configuration file
    │   ├── RecordingError                log or tape to be replayed
    │   ├── WireError                     payload, acknowledgement, topic
    │   ├── ScenarioError                 simulator scenario
    │   ├── SuiteError                    suite of drives, results of a suite
    │   └── TrustError                    certificate, request or claim token that is not to be trusted
    ├── JournalError (OSError)            the log on flash
    │   └── JournalLockedError            another process owns it (``pid``)
    ├── LinkError (ConnectionError)       broker or bus not reachable
    └── EngineError (RuntimeError)        the native engine refused a call (``code``)

A message says what is wrong, where (file and line when there is one) and what to do. The CLI prints it as
``error: ...`` and exits with ``exit_code`` (docs/reference/cli.md).
"""

from __future__ import annotations


class OutriderError(Exception):
    """Root of all errors raised on purpose."""

    exit_code = 1


class BugError(OutriderError, AssertionError):
    exit_code = 70


class InputError(OutriderError, ValueError):
    """Bad data from outside. ``path`` and ``line`` (1-based) say where, when known."""

    exit_code = 65

    def __init__(self, message: str, *, path: object = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(where + message)
        self.path = path
        self.line = line


class ProfileError(InputError):
    pass


class ConfigError(InputError):
    exit_code = 78


class RecordingError(InputError):
    pass


class WireError(InputError):
    pass


class ScenarioError(InputError):
    pass


class SuiteError(InputError):
    pass


class TrustError(InputError):
    exit_code = 77


class JournalError(OutriderError, OSError):
    exit_code = 74


class JournalLockedError(JournalError):
    exit_code = 75

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class LinkError(OutriderError, ConnectionError):
    exit_code = 69


class EngineError(OutriderError, RuntimeError):
    exit_code = 70

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code
