"""The packages: the rooms at the top of the repository, installed under one name."""

from __future__ import annotations

from setuptools import find_packages, setup

# `package` is what `import nextclick` gives. A folder named `nextclick` at the top would hide the
# installed one from whoever runs Python there.
ROOMS = {"nextclick": "package"} | {
    f"nextclick.{room}": room for room in ("connectors", "models", "stream")
}

setup(
    packages=[
        found
        for name, folder in ROOMS.items()
        for found in (name, *(f"{name}.{inner}" for inner in find_packages(folder)))
    ],
    package_dir=ROOMS,
    package_data={"": ["py.typed", "*.css", "*.js", "*.j2"]},
)
