"""The packages: the rooms at the top of the repository, installed under one name."""

from __future__ import annotations

from setuptools import find_packages, setup

ROOMS = ("connectors", "models", "stream")

setup(
    packages=[
        f"nextclick.{found}"
        for room in ROOMS
        for found in (room, *(f"{room}.{inner}" for inner in find_packages(room)))
    ],
    package_dir={f"nextclick.{room}": room for room in ROOMS},
    package_data={"": ["py.typed", "*.css", "*.js", "*.j2"]},
)
