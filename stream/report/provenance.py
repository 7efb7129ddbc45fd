"""Where and when a result was made, and by which version."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from nextclick.models.compute.device import cores

ROOT = Path(__file__).resolve().parents[1]
"""The repository's root, where the package is used from a checkout."""


def provenance(device: str = "cpu") -> dict[str, Any]:
    """Return the version, the commit where it is known, the machine, and the time, in JSON's types.

    Parameters
    ----------
    device
        Where models compute: unless that is ``cpu``, the machine's GPU is named too.

    Examples
    --------
    >>> sorted(provenance())
    ['commit', 'date', 'machine', 'version']

    """
    return {
        "version": metadata.version("nextclick"),
        "commit": _commit(ROOT),
        "machine": _machine(device),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit(root: Path) -> str | None:
    """Return the commit that is checked out, with a + where files differ from it."""
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--match=", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _machine(device: str) -> str:
    """Return the processor, how many cores there are for it, the system, and the GPU."""
    n_cores = cores()
    parts = [_processor(), f"{n_cores} core{'s' if n_cores > 1 else ''}", platform.system()]
    if device != "cpu" and torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(part for part in parts if part)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
