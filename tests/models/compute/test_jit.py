from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nextclick.models.compute import jit as compiled

CALLER = """
from .compute.jit import compiled
from .constants import FACTOR

@compiled
def scaled(number):
    return FACTOR * number
"""


def folder_of(path: Path) -> Path:
    """Make a package with a copy of `compiled`, and a function whose constant is elsewhere."""
    package = path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "compute").mkdir()
    (package / "compute" / "__init__.py").touch()
    (package / "compute" / "jit.py").write_text(Path(compiled.__file__).read_text())
    (package / "caller.py").write_text(CALLER)
    (package / "constants.py").write_text("FACTOR = 2\n")
    return package


def scaled(path: Path, before: str = "") -> str:
    code = (
        f"{before}\nfrom package.caller import scaled\n"
        "print(scaled(21), sum(scaled.stats.cache_hits.values()))"
    )
    # Without byte code: Python itself keeps files cut off by a full disk, and fails on them.
    python = [sys.executable, "-B", "-W", "error", "-c", code]
    done = subprocess.run(python, cwd=path, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_code_is_kept_and_made_anew_when_a_constant_of_another_file_changes(tmp_path: Path) -> None:
    package = folder_of(tmp_path)
    assert scaled(tmp_path) == "42 0"
    assert scaled(tmp_path) == "42 1"
    (package / "constants.py").write_text("FACTOR = 3\n")
    later = time.time() + 2
    os.utime(package / "constants.py", (later, later))
    assert scaled(tmp_path) == "63 0"


def test_where_no_code_can_be_kept_it_is_compiled_all_the_same() -> None:
    # A function that no file holds has no place beside its source.
    names: dict[str, object] = {"compiled": compiled.compiled}
    exec("@compiled\ndef half(number): return number / 2", names)
    half = names["half"]
    assert callable(half)
    assert half(3.0) == 1.5
    assert np.isinf(half(np.inf))


FULL = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))"
"""No file may grow beyond this: what a write meets is what it meets on a full disk."""


def test_a_full_disk_keeps_no_code_and_fails_no_function(tmp_path: Path) -> None:
    folder_of(tmp_path)
    assert scaled(tmp_path, FULL) == "42 0"
    assert scaled(tmp_path, FULL) == "42 0"
    assert scaled(tmp_path) == "42 0"
    assert scaled(tmp_path) == "42 1"


@pytest.mark.parametrize(("kind", "damaged"), [("nbi", b""), ("nbc", b"no pickle")])
def test_kept_code_that_is_damaged_is_made_anew(tmp_path: Path, kind: str, damaged: bytes) -> None:
    package = folder_of(tmp_path)
    assert scaled(tmp_path) == "42 0"
    (kept,) = (package / "__pycache__").glob(f"caller.*.{kind}")
    kept.write_bytes(damaged)
    assert scaled(tmp_path) == "42 0"
    assert scaled(tmp_path) == "42 1"


def test_code_that_cannot_be_kept_anywhere_is_compiled(tmp_path: Path) -> None:
    package = folder_of(tmp_path)
    (package / "__pycache__").write_text("a file, where a folder would be")
    nowhere = "import os\nos.environ['HOME'] = os.environ['XDG_CACHE_HOME'] = '/dev/null'"
    assert scaled(tmp_path, nowhere) == "42 0"


def test_the_time_of_compiling_is_measured_and_that_of_reading_is_not(tmp_path: Path) -> None:
    folder_of(tmp_path)
    measured = (
        "from package.compute.jit import compile_timer; import atexit; timer = compile_timer()\n"
        "seconds = timer.__enter__(); atexit.register(lambda: print(seconds() > 0.01, seconds()))"
    )
    result, took = scaled(tmp_path, measured).splitlines()
    assert (result, took.split()[0]) == ("42 0", "True")
    assert scaled(tmp_path, measured).splitlines() == ["42 1", "False 0.0"]


def test_a_listener_hears_once_that_a_loop_is_compiled_and_not_that_one_is_read(
    tmp_path: Path,
) -> None:
    folder_of(tmp_path)
    before = (
        "from package.compute.jit import before_compiling; before_compiling(lambda: print('!'))"
    )
    assert scaled(tmp_path, before) == "!\n42 0"
    assert scaled(tmp_path, before) == "42 1"
    assert scaled(tmp_path, f"{before}; before_compiling(None)") == "42 1"
