"""What installs is whole, and runs where there is no repository."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import nextclick
from nextclick.stream.cli.app import main as app_main
from tests.stream.snapshots.archives import unpack

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "connectors": "nextclick/connectors",
    "models": "nextclick/models",
    "package": "nextclick",
    "stream": "nextclick/stream",
}
"""The folders that install, each with the place that it takes."""

BUILD = "import setuptools.build_meta as backend, sys; getattr(backend, sys.argv[1])(sys.argv[2])"


def build(kind: str, source: Path, folder: Path) -> Path:
    command = [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from an sdist."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if path.name in FOLDERS:
            shutil.copytree(
                path, source / path.name, ignore=shutil.ignore_patterns("__pycache__", "*.py[cod]")
            )
        elif path.is_file() and not path.name.startswith("."):
            shutil.copy(path, source)
    sdist = build("sdist", source, folder)
    with tarfile.open(sdist) as archive:
        unpack(archive, folder)
    return build("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder)


def test_a_wheel_made_from_an_sdist_holds_every_source_and_its_data(wheel: Path) -> None:
    there: set[str] = set()
    for folder, place in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc" and not path.suffix.startswith(".nb"):
                there.add(f"{place}/{path.relative_to(ROOT / folder).as_posix()}")
    assert {Path(name).suffix for name in there} > {".py", ".css", ".js", ".j2"}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == there
    assert "nextclick/py.typed" in held


def test_a_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        told = metadata.PathDistribution(zipfile.Path(archive, f"{Path(name).parent}/")).metadata
        assert any(each.endswith("licenses/LICENSE") for each in archive.namelist())
    assert told["Version"] == nextclick.__version__
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Description-Content-Type"] == "text/markdown"
    assert told["Requires-Python"] == ">=3.11"
    assert not any("License ::" in each for each in told.get_all("Classifier", []))


@pytest.mark.slow
def test_a_wheel_runs_in_an_empty_folder_without_the_repository(
    wheel: Path, tmp_path: Path
) -> None:
    fresh, empty = tmp_path / "fresh", tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    python = fresh / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    # The libraries are those of this environment: a path in a .pth file brings no other .pth file
    # of its folder with it, so not the repository either.
    where = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    libraries = sysconfig.get_path("purelib")
    Path(where.strip(), "libraries.pth").write_text(libraries)
    empty.mkdir()

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [fresh / "bin" / "nextclick", *arguments],
            cwd=empty,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    home = "import nextclick.models; print(nextclick.models.__file__)"
    assert str(fresh) in subprocess.check_output([python, "-c", home], cwd=empty, text=True)
    assert run("--version") == f"nextclick {nextclick.__version__}\n"
    assert "compare" in run("--help")
    assert "Recall@20" in run("run", "sim:clicks=3000", "--json", "run.json")
    assert json.loads((empty / "run.json").read_text())["clicks"] == 3000
    models = ["--models", "gru4rec-network,markov"]
    run("compare", "sim:clicks=2000", *models, "--report", "compare.html")
    assert "markov" in (empty / "compare.html").read_text()


def test_the_command_the_module_and_the_attribute_tell_one_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = f"nextclick {nextclick.__version__}\n"
    for command in (["-m", "nextclick"], ["-m", "nextclick.stream"]):
        told = subprocess.check_output([sys.executable, *command, "--version"], text=True)
        assert told == expected
    monkeypatch.setattr(sys, "argv", ["nextclick", "--version", "run"])
    with pytest.raises(SystemExit, match=r"^0$"):
        app_main()
    assert capsys.readouterr().out == expected
    assert metadata.version("nextclick") == nextclick.__version__


def test_importing_nextclick_and_asking_its_version_imports_no_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import nextclick; sys.argv[1:] = ['--version']; "
        "from nextclick.stream.__main__ import main; main(); "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    told = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()
    assert set(told[-1].split()) <= {"nextclick", *sys.stdlib_module_names}


def libraries_imported(path: Path) -> set[str]:
    """Return the top names of what a file imports from elsewhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found - {"nextclick", *sys.stdlib_module_names}


def test_every_library_that_is_imported_is_a_dependency_of_users_too() -> None:
    imported: set[str] = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            imported |= libraries_imported(path)
    homes = metadata.packages_distributions()
    installed = imported & set(homes)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    optional = [each for extra in extras if extra != "dev" for each in extras[extra]]
    declared = [*project["dependencies"], *optional]
    names = {re.split(r"[<>=!~ \[]", each, maxsplit=1)[0].lower() for each in declared}
    for name in installed:
        assert any(each.lower().replace("_", "-") in names for each in homes[name]), name
    # Of an extra that is not installed only the imported name is known.
    assert all(any(each.startswith(name) for each in names) for name in imported - installed)
