"""What a machine needs to run this: a Python whose torch has CUDA, and a few small packages.

Uses the standard library alone, since it looks for the rest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

WHEELS = ROOT / "gpu-wheels"
"""Packages for a machine without a network: ``make gpu-pack`` puts them there."""

PACKED = {
    "crc32c": "crc32c",
    "httptools": "httptools",
    "kafka": "kafka-python",
    "lark": "lark",
    "msgspec": "msgspec",
    "prometheus_client": "prometheus-client",
    "river": "river",
    "starlette": "starlette",
    "typer": "typer",
    "uvicorn": "uvicorn",
    "zstandard": "zstandard",
}
"""What ``make gpu-pack`` packs, by the module's name: small, and seldom on a machine with CUDA."""

PRESENT = ["jinja2", "llvmlite", "numba", "numpy", "pandas", "pyarrow", "pytest", "rich"]
PRESENT += ["safetensors", "scipy", "torch"]
"""What the machine must have by itself: too large to be carried, or on any such machine."""

PROBE = """
import importlib.util, sys
import torch
names = sys.argv[1:]
print(int(torch.cuda.is_available()), *sys.version_info[:2])
print(*(name for name in names if importlib.util.find_spec(name) is None))
"""


class Environment(NamedTuple):
    """A Python, and how it finds this program.

    Parameters
    ----------
    python
        The interpreter.
    cuda
        Whether its torch sees a GPU.
    missing
        Modules that it lacks and that are not packed either.
    variables
        The environment of its processes.

    """

    python: str
    cuda: bool
    missing: list[str]
    variables: dict[str, str]


def find(folder: Path, device: str) -> Environment:
    """Find a Python with torch, add what it lacks, and link the packages into a folder.

    Raises
    ------
    SystemExit
        There is no Python with torch.

    """
    probed = [(python, answer) for python in _candidates() if (answer := _probe(python))]
    if not probed:
        raise SystemExit(
            "No Python here has torch: install it, or run `make setup` where there is a network."
        )
    # One whose torch sees a GPU, if one is wanted.
    wanted = [pair for pair in probed if pair[1][0] == "1"] if device != "cpu" else []
    python, (cuda, major, minor, *lacks) = (wanted or probed)[0]
    linked = folder / "packages"
    _link(linked)
    missing = _unpack(python, lacks, folder / "wheels", f"{major}.{minor}")
    paths = [str(linked), str(ROOT), str(folder / "wheels")]
    variables = dict(os.environ)
    variables["PYTHONPATH"] = os.pathsep.join([*paths, variables.get("PYTHONPATH", "")])
    variables["PYTHONUNBUFFERED"] = "1"
    return Environment(python, cuda == "1", missing, variables)


def _candidates() -> list[str]:
    own = ROOT / ".venv" / "bin" / "python"
    found = [str(own)] if own.exists() else []
    found += [path for name in ("python3", "python") if (path := shutil.which(name))]
    return list(dict.fromkeys([*found, sys.executable]))


def _probe(python: str) -> list[str]:
    """Return whether a Python's torch sees a GPU, its version, and the modules that it lacks."""
    command = [python, "-c", PROBE, *PACKED, *PRESENT]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    return done.stdout.split() if done.returncode == 0 else []


def _link(folder: Path) -> None:
    """Make the packages importable as they lie here, without installing them."""
    top = folder / "nextclick"
    top.mkdir(parents=True, exist_ok=True)
    rooms = [ROOT / name for name in ("connectors", "models", "stream")]
    for path in [*(ROOT / "package").iterdir(), *rooms]:
        if not (top / path.name).exists():
            (top / path.name).symlink_to(path)
    # What an installed package would say of itself.
    said = (ROOT / "package" / "__init__.py").read_text()
    version = said.split('__version__ = "')[1].split('"')[0]
    about = folder / f"nextclick-{version}.dist-info"
    about.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: nextclick\nVersion: {version}\n"
    (about / "METADATA").write_text(text)


def _unpack(python: str, lacks: Sequence[str], folder: Path, version: str) -> list[str]:
    """Install the wheels of missing modules into a folder; return what is missing still."""
    missing = [name for name in lacks if name not in PACKED]
    chosen: list[str] = []
    for name in lacks:
        if name not in PACKED:
            continue
        stem = PACKED[name].replace("-", "_")
        wheels = sorted(WHEELS.glob(f"{stem}-*.whl")) if WHEELS.exists() else []
        tag = f"cp{version.replace('.', '')}"
        fitting = [w for w in wheels if tag in w.name or "py3-none-any" in w.name]
        if fitting:
            chosen.append(str(fitting[-1]))
        else:
            missing.append(name)
    if chosen:
        options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
        command = [python, "-m", "pip", "install", *options, "--target", str(folder), *chosen]
        if subprocess.run(command).returncode:
            missing += [name for name in lacks if name in PACKED]
    return missing


def pack(version: str) -> None:
    """Download the packages, for a Python of a version on Linux with an x86-64 processor."""
    WHEELS.mkdir(exist_ok=True)
    for old in WHEELS.glob("*.whl"):
        old.unlink()
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    platforms = ["manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014"]
    platforms += ["manylinux1"]
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    options += ["--python-version", version, "--dest", str(WHEELS)]
    for platform in platforms:
        options += ["--platform", f"{platform}_x86_64"]
    names = [f"{name}=={pins[name]}" for name in PACKED.values()]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    if subprocess.run([*command, *options, *names]).returncode:
        raise SystemExit("The packages could not be downloaded: pip says why above.")
    size = sum(wheel.stat().st_size for wheel in WHEELS.glob("*.whl"))
    print(f"{len(names)} packages for Python {version} in {WHEELS}: {size / 1e6:.1f} MB")
