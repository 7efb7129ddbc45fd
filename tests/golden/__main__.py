"""Compare the results of the commands with those in ``golden.json``: ``make golden``.

The file holds figures as numbers, and the SHA-256 of recommendations and of every array of the last
snapshot. Where processor and libraries are those that the file was made with, everything must be
the same to the last bit; elsewhere the figures must agree to three digits. Cases and names that the
file does not have yet are listed and are no difference.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from llvmlite.binding import get_host_cpu_name

from tests.golden.cases import LOGS, Case, logged, simulated
from tests.golden.prints import Prints

FILE = Path(__file__).with_name("golden.json")
DATA = Path(__file__).parents[3] / "shared" / "data"
LIBRARIES = ("llvmlite", "numba", "numpy", "pyarrow", "river", "torch")
TOLERANCE = 1e-3


def main() -> int:
    """Run the chosen cases; return 1 where something differs."""
    parser = argparse.ArgumentParser(prog="make golden", description="Compare with golden.json.")
    parser.add_argument("--renew", action="store_true", help="write the file anew")
    parser.add_argument("--logs", type=Path, default=DATA, help="folder with the three logs")
    parser.add_argument("--part", choices=["simulated", "logs"], help="this part only")
    parser.add_argument("--only", default="", help="cases with this text in their names")
    parser.add_argument("--keep", type=Path, help="folder for what the commands write")
    options = parser.parse_args()
    kept: dict[str, Any] = json.loads(FILE.read_bytes()) if FILE.exists() else {"cases": {}}
    here = facts()
    exact = options.renew or kept.get("made with") == here
    if not exact:
        print("processor or libraries are not those of the file: figures are compared to 3 digits")
        for name, fact in here.items():
            if (was := kept.get("made with", {}).get(name)) != fact:
                print(f"  {name}: {was} in the file, {fact} here")
    found: dict[str, Prints] = {}
    differing = 0
    for name, case in chosen(options.part, options.logs):
        if options.only not in name:
            continue
        began = time.monotonic()
        found[name] = run_case(name, case, options.keep)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        if not options.renew:
            lines = list(differences(kept["cases"].get(name), found[name], exact))
            differing += sum(not line.startswith("new: ") for line in lines)
            for line in lines:
                print(f"  {line}", flush=True)
    if options.renew:
        # What was not run stays, where it can stand beside the new cases.
        some = (options.part or options.only) and kept.get("made with") == here
        cases = kept["cases"] if some else {}
        whole = {"made with": here, "cases": cases | found}
        FILE.write_text(json.dumps(whole, indent=0, ensure_ascii=False) + "\n")
        print(f"{len(found)} cases written to {FILE}")
        return 0
    print(f"{differing} differences in {len(found)} cases" if differing else "all as it was")
    return 1 if differing else 0


def chosen(part: str | None, logs: Path) -> Iterator[tuple[str, Case]]:
    """Return the cases to run, with their names."""
    if part != "logs":
        for name, case in simulated():
            yield f"simulated: {name}", case
    if part != "simulated":
        missing = [name for name in LOGS if not (logs / f"{name}.csv.gz").exists()]
        if missing:
            print(f"logs: skipped, {', '.join(missing)} not in {logs} (name a folder with --logs)")
            return
        for name, case in logged(logs):
            yield f"logs: {name}", case


def run_case(name: str, case: Case, keep: Path | None) -> Prints:
    """Run a case in a folder of its own."""
    if keep is not None:
        folder = keep / name.replace(" ", "-").replace(",", "").replace(":", "")
        folder.mkdir(parents=True)
        return case(folder)
    with tempfile.TemporaryDirectory() as temporary:
        return case(Path(temporary))


def differences(kept: Prints | None, found: Prints, exact: bool) -> Iterator[str]:
    """Name what is not as it was."""
    if kept is None:
        yield "new: the file does not have this case"
        return
    for name, was in kept.items():
        if name not in found:
            yield f"gone: {name}"
        elif not same(was, found[name], exact):
            yield f"{name}: {was} before, {found[name]} now"
    more = [name for name in found if name not in kept]
    if more:
        yield f"new: {shortened(more)}"


def same(was: Any, now: Any, exact: bool) -> bool:
    """Whether two fingerprints agree; off the file's machine, only numbers are compared."""
    if exact:
        return bool(was == now and type(was) is type(now))
    if isinstance(was, (int, float)) and isinstance(now, (int, float)):
        return math.isclose(was, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return True


def shortened(names: Iterable[str]) -> str:
    """List names, the first few of many."""
    listed = list(names)
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return ", ".join(listed[:8]) + more


def facts() -> dict[str, str]:
    """Return what the last bits of a figure depend on besides this code."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "kernels": f"{get_host_cpu_name()}, torch with {torch.backends.cpu.get_cpu_capability()}",
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


if __name__ == "__main__":
    sys.exit(main())
