"""Certificates for the brokers of the tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificates(NamedTuple):
    """Certificates of a test authority; the broker's is for ``localhost`` only."""

    authority: Path
    stranger: Path
    broker: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, another one that signed nothing, and the broker's certificate."""
    folder.mkdir(parents=True)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("authority", "stranger"):
        openssl(
            *("req", "-x509", *curve, "-days", "3650", "-subj", f"/CN=test {name}"),
            *("-addext", "keyUsage=critical,keyCertSign"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
        )
    openssl(
        *("req", "-x509", *curve, "-days", "3650", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"),
        *("-CA", "authority.pem", "-CAkey", "authority.key"),
        *("-keyout", "broker.key", "-out", "broker.crt"),
    )
    both = (folder / "broker.key").read_bytes() + (folder / "broker.crt").read_bytes()
    (folder / "broker.pem").write_bytes(both)
    return Certificates(folder / "authority.pem", folder / "stranger.pem", folder / "broker.pem")
