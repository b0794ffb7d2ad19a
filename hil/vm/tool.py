"""virtme-ng, the program that boots a kernel over a live file system: in an environment of its own, run as a program.

It is GPL-2.0 and no part of the product: nothing here imports it, and it is not installed beside the product. Which
version is said by the extra ``hil`` in pyproject.toml.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import click

from hil.vm.errors import RigError
from hil.vm.kernel import cache_folder

ROOT = Path(__file__).parents[2]


def find_vng() -> Path:
    """The program, installed into the cache the first time. RigError when pip cannot."""
    wanted = requirements()
    stamp = hashlib.sha256(repr((wanted, sys.version_info[:2], sys.base_prefix)).encode()).hexdigest()[:12]
    place = cache_folder() / "virtme-ng" / stamp
    program = place / "bin" / "vng"
    if not (place / "complete").exists():
        _install(place, wanted)
    return program


def requirements() -> list[str]:
    """The extra ``hil``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["project"]["optional-dependencies"]["hil"])


def _install(place: Path, wanted: list[str]) -> None:
    """An environment cannot be moved: it is made in place, and counts only once its last file is written."""
    click.echo(f"rig: installing {', '.join(wanted)} (once)", err=True)
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    _must([sys.executable, "-m", "venv", str(place)])
    _must([str(place / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", *wanted])
    _write(place / "complete", " ".join(wanted))


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).rename(path)


def _must(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=_clean())
    if done.returncode:
        raise RigError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def _clean() -> dict[str, str]:
    """Without what would lead pip into another environment."""
    return {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
