"""The frame of the repository: version, lazy names, settings of the launcher, what may lie in the repository."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

import hf_mer

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER_FILES = sorted((ROOT / "recipes" / "accelerate").glob("*.yaml"))


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def repository_files() -> list[Path]:
    """Tracked files, or all files that are not hidden where this is an unpacked archive without git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.parts)]
    return [path for path in paths if path.is_file()]


def test_version_has_one_source():
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in pyproject
    assert not re.search(r'^version = "', pyproject, re.MULTILINE)
    assert '[tool.hatch.version]\npath = "hf_mer/version.py"' in pyproject
    module = ast.parse((ROOT / "hf_mer" / "version.py").read_text())
    assigned = [node.value for node in module.body if isinstance(node, ast.Assign)]
    assert [ast.literal_eval(value) for value in assigned] == [hf_mer.__version__]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == hf_mer.__version__


def test_installed_version_is_the_same():
    try:
        installed = importlib.metadata.version("hf_mer")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("hf_mer runs from the source tree, not installed")
    assert installed == hf_mer.__version__


def test_import_brings_in_no_heavy_library_and_is_fast():
    code = """
import sys, time
start = time.perf_counter()
import hf_mer
seconds = time.perf_counter() - start
dir(hf_mer)
heavy = {"torch", "transformers", "datasets", "numpy", "scipy", "sklearn", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
print(seconds)
"""
    seconds = min(float(run_python(code)) for _ in range(3))
    assert seconds < 0.1  # 3 ms on an idle core


@pytest.mark.slow
def test_training_begins_without_scikit_learn():
    """Scores and k-means bring it in when they are asked for: it takes seconds to import."""
    code = "import sys, hf_mer.training.experiment; print({'sklearn', 'scipy.stats'} & set(sys.modules))"
    assert run_python(code) == "set()\n"


def test_large_tensors_are_asked_for_in_huge_pages(monkeypatch):
    """Where the kernel has them; what the environment says already stays, and PyTorch knows the name."""
    show = "import os, hf_mer; print(os.environ['THP_MEM_ALLOC_ENABLE'])"
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    assert run_python(show) == "1\n"
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    assert run_python(show) == "0\n"
    library = Path(importlib.util.find_spec("torch").origin).with_name("lib") / "libc10.so"
    if library.exists():  # Linux
        assert b"THP_MEM_ALLOC_ENABLE" in library.read_bytes()


@pytest.mark.parametrize("name", hf_mer.__all__)
def test_public_name_resolves(name):
    value = getattr(hf_mer, name)
    assert name == "__version__" or value.__name__ == name
    assert name in dir(hf_mer)


def test_public_names_agree_with_the_imports_for_type_checkers():
    tree = ast.parse(Path(hf_mer.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name: node.module for node in block.body for alias in node.names}
    assert all(
        getattr(importlib.import_module(module), name) is getattr(hf_mer, name) for name, module in imported.items()
    )
    assert sorted([*imported, "__version__"]) == sorted(hf_mer.__all__)


def test_unknown_name_says_which_exist():
    with pytest.raises(AttributeError, match=r"'LeMerModel'.*LeMerForEmotionClassification"):
        _ = hf_mer.LeMerModel


def test_names_stay_themselves_after_their_modules_were_imported():
    # `prepare` is a function in a module of the same name, which importing hangs over the name in `hf_mer.data`.
    out = run_python("import hf_mer.data.prepare, hf_mer; print(callable(hf_mer.prepare))")
    assert out.strip() == "True"


def test_launcher_settings_are_there():
    expected = {"one_gpu", "multi_gpu", "fsdp", "multi_node", "cpu_two"}
    assert {path.stem for path in LAUNCHER_FILES} == expected


@pytest.mark.parametrize("path", LAUNCHER_FILES, ids=lambda path: path.stem)
def test_launcher_settings_are_understood(path):
    config = load_config_from_file(str(path))
    processes = 1 if path.stem == "one_gpu" else config.num_processes
    assert config.num_processes == processes >= config.num_machines
    args = launch_command_parser().parse_args(["--config_file", str(path), "train.py"])
    args, _, _ = _validate_launch_command(args)
    # Without one of the two, the launcher starts a single process whatever `num_processes` says.
    assert (args.multi_gpu or args.use_fsdp) == (processes > 1)
    assert bool(args.use_cpu) == (path.stem == "cpu_two")


def test_fsdp_settings_reach_the_launcher():
    path = ROOT / "recipes" / "accelerate" / "fsdp.yaml"
    args = launch_command_parser().parse_args(["--config_file", str(path), "train.py"])
    args, _, _ = _validate_launch_command(args)
    for key, value in load_config_from_file(str(path)).fsdp_config.items():
        assert getattr(args, key) == value
    assert args.fsdp_version == 2


@pytest.mark.parametrize("target", ["help", "install", "demo", "test", "test-slow", "check", "format", "clean"])
def test_makefile_target(target):
    rules = re.findall(r"^([\w-]+):.*?## (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert target in dict(rules)


def test_repository_holds_no_large_files_and_no_pickles():
    files = repository_files()
    assert len(files) > 20
    large = {str(path.relative_to(ROOT)) for path in files if path.stat().st_size > 1_000_000}
    assert not large
    unsafe = {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".npy", ".npz"}
    assert not [path for path in files if path.suffix in unsafe]
    assert not [path for path in files if path.suffix not in {".png", ".wav"} and path.read_bytes()[:1] == b"\x80"]
