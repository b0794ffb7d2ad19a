"""What can keep the rig from running. The text says what to do."""

from __future__ import annotations


class RigError(Exception):
    """The rig cannot be brought up on this machine."""
