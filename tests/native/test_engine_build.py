"""The extension is rebuilt when the native sources change, and a wheel made from the sdist works by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTENTS = (
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "LICENSE",
    "NOTICE",
    "README.md",
    "CHANGELOG.md",
    "native",
    "daemon",
)


def run(*command: str, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "CFLAGS", "LDFLAGS"))}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=clean)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is needed to build, without anything built."""
    target = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info", "build")
    for name in CONTENTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignore)
        elif source.exists():
            shutil.copy(source, target / name)
    (target / "README.md").touch()
    return target


def build_inplace(tree: Path) -> float:
    run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", cwd=tree)
    return (tree / "daemon" / "outrider" / "_native.abi3.so").stat().st_mtime


def newer(path: Path, than: float) -> None:
    os.utime(path, (than + 10, than + 10))


@pytest.mark.slow
def test_touching_a_header_or_a_source_rebuilds_the_extension(tree: Path) -> None:
    """No stale extension: headers, sources and the binding's own definition are all watched; nothing else is."""
    first = build_inplace(tree)
    assert build_inplace(tree) == first
    for name in ("include/outrider/types.h", "src/decode.c"):
        newer(tree / "native" / name, first)
        second = build_inplace(tree)
        assert second != first, name
        os.utime(tree / "native" / name, (first - 100, first - 100))
        first = second


@pytest.mark.slow
def test_wheel_from_the_sdist_works_in_a_clean_environment(tree: Path, tmp_path: Path) -> None:
    """sdist -> wheel (cp311-abi3) -> fresh environment -> the engine runs."""
    pytest.importorskip("build")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "-o", str(tmp_path), str(tree), cwd=tmp_path)
    [sdist] = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
        checked = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian 12's 3.11.2 has none yet
        archive.extractall(tmp_path / "unpacked", **checked)
    for needed in ("native/build_ffi.py", "native/include/outrider/types.h", "native/src/bytes.h", "LICENSE"):
        assert needed in names
    assert not any(name.endswith(".so") for name in names)
    [source] = (tmp_path / "unpacked").iterdir()
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", str(tmp_path), str(source), cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    assert "-cp311-abi3-linux" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        assert "outrider/_native.abi3.so" in archive.namelist()
    python = clean_environment(tmp_path / "venv")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel), cwd=tmp_path)
    code = "from outrider.engine import crc32c; print(hex(crc32c(b'123456789')))"
    assert run(python, "-c", code, cwd=tmp_path).strip() == "0xe3069283"


def clean_environment(folder: Path) -> str:
    """A new environment that holds the binding's one dependency, taken from here, and nothing of this project."""
    import cffi

    run(sys.executable, "-m", "venv", str(folder), cwd=folder.parent)
    [packages] = folder.glob("lib/python*/site-packages")
    here = Path(cffi.__file__).parents[1]
    shutil.copytree(here / "cffi", packages / "cffi")
    for extension in here.glob("_cffi_backend*.so"):
        shutil.copy(extension, packages)
    return str(folder / "bin" / "python")
