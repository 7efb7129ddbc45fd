"""How much room nextclick and each of its extras take: `make sizes`.

Installs a wheel into an empty environment, and beside it what each extra adds; the packages come
from where pip is set up to look. Sizes are those of the files on the disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOR_DEVELOPERS = {"checks", "dev", "docs", "release"}


def size(folder: Path) -> float:
    """Return how many megabytes the files below a folder take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def extras() -> list[str]:
    """Return the extras that are made for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(set(project["optional-dependencies"]) - FOR_DEVELOPERS)


def added(python: Path, requirement: str, folder: Path) -> list[str]:
    """Install what a requirement adds to an environment into a folder; return the packages."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    report = subprocess.check_output([*pip, "--dry-run", "--report", "-", requirement])
    packages = [
        f"{each['metadata']['name']}=={each['metadata']['version']}"
        for each in json.loads(report)["install"]
        if each["metadata"]["name"] != "nextclick"
    ]
    if packages:
        subprocess.run([*pip, "--no-deps", "--target", str(folder), *packages], check=True)
    return packages


def main(wheel: str) -> None:
    """Print a line for nextclick with torch, and one for each extra."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        (libraries,) = (folder / "venv" / "lib").glob("python*/site-packages")
        before = size(libraries)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", wheel], check=True)
        torch = size(libraries / "torch")
        print(f"nextclick: {size(libraries) - before:,.0f} MB, of which torch {torch:,.0f} MB")
        for extra in extras():
            packages = added(python, f"{wheel}[{extra}]", folder / extra)
            print(f"{extra}: {size(folder / extra):,.0f} MB, {', '.join(packages)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
