from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nextclick.stream.config.options import ConfigError
from nextclick.stream.output_files import check_writable, write_all, write_file, write_whole

FULL = (
    "import resource, sys\n"
    "from nextclick.stream.config.options import ConfigError\n"
    "from nextclick.stream.output_files import write_all\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
    "try:\n"
    "    write_all([('--json', sys.argv[1], lambda: bytes(1000)),\n"
    "               ('--report', sys.argv[2], lambda: b'page')])\n"
    "except ConfigError as error:\n"
    "    print(error)\n"
)
"""No file may grow beyond a limit: what a write meets is what it meets on a full disk."""


def test_a_full_disk_leaves_the_old_file_and_the_others_are_written(tmp_path: Path) -> None:
    old, page = tmp_path / "r.json", tmp_path / "r.html"
    old.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(old), str(page)], capture_output=True, text=True
    )
    reason = os.strerror(errno.EFBIG)
    assert done.stdout == f"--json {old} cannot be written: {reason}\n", done.stderr
    assert old.read_bytes() == b"old"
    assert page.read_bytes() == b"page"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.json"]


def test_a_device_that_is_full_is_named() -> None:
    with pytest.raises(ConfigError, match="--json /dev/full cannot be written: No space left"):
        write_file("--json", "/dev/full", b"{}")
    assert Path("/dev/full").is_char_device()


def test_every_file_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--json /dev/full .*; --report .* cannot be written"):
        write_all([("--json", "/dev/full", lambda: b"1"), ("--report", str(tmp_path), bytes)])


def test_a_file_keeps_its_permissions_and_a_link_its_file(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o640)


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "new" / "r.json"
    check_writable("--json", path)
    assert not path.exists()
    path.write_bytes(b"old")
    check_writable("--json", path)
    assert path.read_bytes() == b"old"
    with pytest.raises(ConfigError, match="Is a directory"):
        check_writable("--json", tmp_path)
