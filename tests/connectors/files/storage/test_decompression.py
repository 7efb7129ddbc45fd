from __future__ import annotations

import bz2
import gzip
import lzma
import random
from pathlib import Path

import pytest
import zstandard

from nextclick.connectors.files.storage.decompression import Decompressed
from nextclick.connectors.source import SourceError

TEXT = b"".join(b"%d,%d\n" % (n, n * n % 977) for n in range(60_000))
SUFFIXES = [".gz", ".zst", ".bz2", ".xz"]


def pack(text: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(text, mtime=0)
    if suffix == ".bz2":
        return bz2.compress(text, 1)
    if suffix == ".xz":
        return lzma.compress(text, check=lzma.CHECK_CRC64, preset=0)
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


def unpack(path: Path) -> tuple[bytes, str | None]:
    stream = Decompressed(path)
    text = b"".join(stream.chunks())
    stream.close()
    return text, stream.damage


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("padding", [b"", b"\0" * 100])
def test_several_members_are_one_stream(tmp_path: Path, suffix: str, padding: bytes) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(pack(TEXT, suffix) + pack(b"", suffix) + pack(b"end\n", suffix) + padding)
    assert unpack(path) == (TEXT + b"end\n", None)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_an_empty_stream(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(b"")
    assert unpack(path) == (b"", None)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_what_stands_before_a_cut_is_read(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"log.csv{suffix}"
    packed = pack(TEXT, suffix)
    path.write_bytes(packed[: int(len(packed) * share)])
    text, damage = unpack(path)
    assert TEXT.startswith(text)
    assert len(text) >= (share - 0.3) * len(TEXT)
    assert damage is not None
    assert "cut short" in damage


def test_of_damaged_gzip_everything_before_the_damage_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    noise = random.Random(1).randbytes(300)
    for place in (0.1, 0.5, 0.9):
        packed = bytearray(pack(TEXT, ".gz"))
        start = int(len(packed) * place)
        packed[start : start + 300] = noise
        path.write_bytes(packed)
        text, damage = unpack(path)
        assert damage is not None
        assert "damaged" in damage
        # How far good bytes reach: as far as the decompressor gets with those before the noise.
        path.write_bytes(packed[:start])
        good, _ = unpack(path)
        assert TEXT.startswith(good)
        assert text.startswith(good)


def test_of_damaged_zstd_the_whole_blocks_before_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.zst"
    packed = bytearray(pack(TEXT, ".zst"))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    text, damage = unpack(path)
    assert damage is not None
    assert len(text) >= 131_072
    assert TEXT.startswith(text[:131_072])


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    packed = bytearray(pack(TEXT, ".gz"))
    packed[-5] ^= 1
    path.write_bytes(packed)
    text, damage = unpack(path)
    assert text == TEXT
    assert damage is not None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_first_bytes_tell_the_compression_and_not_the_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(TEXT)
    assert unpack(path) == (TEXT, None)
    for name in ("log.csv", "log", "log.csv.gz", "log.csv.zst"):
        path = tmp_path / name
        path.write_bytes(pack(TEXT, suffix))
        assert unpack(path) == (TEXT, None)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_neither_compressed_nor_text_is_damage_from_the_start(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(b"\0\xff" + pack(TEXT, suffix)[2:])
    text, damage = unpack(path)
    assert text == b""
    assert damage is not None


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nothing\.csv: there is no such file"):
        Decompressed(tmp_path / "nothing.csv")
    with pytest.raises(SourceError, match="folder"):
        Decompressed(tmp_path)
