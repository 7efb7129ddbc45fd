"""Logs inside zip archives."""

from __future__ import annotations

import errno
import io
import zipfile
from typing import Any, BinaryIO, cast

from ...source import SourceError
from .log_file import Bytes, LogFile

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip archive begins with; the second if it is empty."""

WORKBOOK = "[Content_Types].xml"
"""A member that shows an office document."""


class ZipMember(LogFile):
    """One file inside a zip archive.

    Parameters
    ----------
    archive
        The archive.
    info
        The member.

    """

    def __init__(self, archive: LogFile, info: zipfile.ZipInfo) -> None:
        super().__init__(f"{archive}/{info.filename}", info.filename.rpartition("/")[2])
        self._archive = archive
        self._info = info
        self.rereads_cheaply = archive.rereads_cheaply

    def open(self) -> Bytes:
        """Open it to be read from its start."""
        archive = self._archive.open_anywhere()
        try:
            return _OpenMember(zipfile.ZipFile(archive).open(self._info), archive)
        except NotImplementedError as error:
            archive.close()
            raise SourceError(f"{self} cannot be unpacked ({error}): unpack it first") from error
        except RuntimeError as error:
            archive.close()
            raise SourceError(f"{self} is encrypted: unpack it first") from error
        except Exception as error:  # A damaged index fails in many ways.
            archive.close()
            raise SourceError(f"{self} cannot be read: {error}") from error

    def open_anywhere(self) -> Any:
        """Open it to be read at any place."""
        raise SourceError(f"{self} is read from its start only: unpack it first")

    def size(self) -> int | None:
        """Return its bytes, unpacked."""
        return self._info.file_size


class _OpenMember(io.RawIOBase):
    """A member that is read; what is wrong with it is an OSError."""

    def __init__(self, member: Any, archive: Any) -> None:
        super().__init__()
        self._member = member
        self._archive = archive

    def read(self, size: int = -1) -> bytes:
        try:
            # One step only: one that fails keeps what it had unpacked to itself.
            return cast("bytes", self._member.read1(size))
        except SourceError:
            raise
        except Exception as error:  # Those of each kind of compression.
            raise OSError(errno.EIO, f"its compressed data are damaged: {error}") from error

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return cast("int", self._member.seek(offset, whence))

    def tell(self) -> int:
        return cast("int", self._member.tell())

    def close(self) -> None:
        if not self.closed:
            self._member.close()
            self._archive.close()
        super().close()


def zip_members(file: LogFile) -> list[LogFile] | None:
    """Return the logs in a zip archive; None where a file is no archive.

    Raises
    ------
    SourceError
        It holds none, is damaged, or is an office document.

    """
    if file.is_pipe or not _is_archive(file):
        return None
    archive = file.open_anywhere()
    try:
        infos = zipfile.ZipFile(cast("BinaryIO", archive)).infolist()
    except SourceError:
        raise
    except Exception as error:  # A damaged index fails in many ways.
        raise SourceError(
            f"{file} is a zip archive that is damaged or cut off: {error}. Get it again; what it "
            "holds cannot be found without its end"
        ) from error
    finally:
        archive.close()
    if any(info.filename == WORKBOOK for info in infos):
        raise SourceError(f"{file} is not a log but an Excel workbook: save the sheet as CSV")
    members = [ZipMember(file, info) for info in infos if not info.is_dir()]
    found = [each for each in members if each.name[:1] not in (".", "_", "")]
    if not found:
        raise SourceError(f"{file} is a zip archive without a log in it")
    return list(found)


def _is_archive(file: LogFile) -> bool:
    opened = file.open()
    try:
        return opened.read(4) in MAGIC
    except OSError:
        return False
    finally:
        opened.close()
