"""Archives that the tests unpack."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive; what is in it stays in the folder where Python can see to that."""
    if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and later.
        archive.extractall(folder, filter="data")
    else:
        archive.extractall(folder)
