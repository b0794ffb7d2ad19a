"""Outrider: the software of an aftermarket in-vehicle terminal."""

__version__ = "0.1.0.dev0"
