"""Runs transformers' own test suites on the models, configurations and processor of this package: `make hf-tests`.

The suites are those of the installed version. They are no part of the installed package, but of its source distribution,
which is fetched from the package index.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import transformers

ROOT = Path(__file__).parents[2]
# What the suites import, and the source distribution leaves out.
STAND_INS = {
    "__init__.py": "",
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/test_configuration_utils.py": "config_common_kwargs = {}\n",
}


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], check=True)


def fetch(folder: Path) -> Path:
    """Unpacks the tests of the installed transformers into a folder, once; gives the folder that holds `tests`."""
    name = f"transformers-{transformers.__version__}"
    unpacked = folder / name
    if not (unpacked / "tests").is_dir():
        pip(
            "download", "--quiet", "--no-deps", "--no-binary", "transformers", "--dest", str(folder),
            f"transformers=={transformers.__version__}",
        )  # fmt: skip
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            members = [member for member in archive if member.name.startswith(f"{name}/tests/")]
            archive.extractall(folder, members, filter="data")
    for path, content in STAND_INS.items():
        stand_in = unpacked / "tests" / path
        if not stand_in.exists():
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            stand_in.write_text(content, encoding="utf-8")
    if importlib.util.find_spec("parameterized") is None and not (folder / "packages").is_dir():
        pip("install", "--quiet", "--no-deps", "--target", str(folder / "packages"), "parameterized")
    return unpacked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "hf-suites", help="what is fetched goes here")
    arguments, rest = parser.parse_known_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    paths = [str(fetch(arguments.folder)), str(arguments.folder / "packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    options = ["-o", "addopts=-q --import-mode=prepend", "-p", "no:cacheprovider", "--tb=short", "--disable-warnings"]
    command = [sys.executable, "-m", "pytest", *options, str(Path(__file__).parent), *rest]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
