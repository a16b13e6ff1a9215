"""The wheel in fresh environments, without the checkout: at the lowest bounds, and at the newest of everything."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
NEWEST = ("3.14", "3.13", "3.12")  # that torch serves, the newest first

pytestmark = pytest.mark.slow


def find_python(version):
    """An interpreter of this version, of the system or of pyenv; None where there is none that runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for path in [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]:
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return str(path)
    return None


def lowest_bounds():
    """`package==lowest version` of every package that the wheel asks for."""
    pins = []
    for requirement in map(Requirement, requires("hf_mer")):
        if requirement.marker is None:
            (lowest,) = [part.version for part in requirement.specifier if part.operator in (">=", "==")]
            pins.append(f"{requirement.name}=={lowest}")
    return pins


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`run("pip", "install", ...)` of uv where it is there, in a folder outside the checkout."""
    folder = tmp_path_factory.mktemp("outside")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    configuration = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    handed_over = {  # as .ci/install does
        "UV_DEFAULT_INDEX": "index-url",
        "SSL_CERT_FILE": "cert",
        "ALL_PROXY": "proxy",
        "UV_INSECURE_HOST": "trusted-host",
        "UV_HTTP_TIMEOUT": "timeout",
    }
    for name, key in handed_over.items():
        for line in configuration.splitlines():
            if line.partition("=")[0].endswith(f".{key}"):
                environment.setdefault(name, line.partition("=")[2].strip("'\""))

    def call(*command, cwd=folder):
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    call.folder = folder
    return call


@pytest.fixture(scope="module")
def wheel(run):
    uv = Path(sys.executable).with_name("uv")
    if not uv.is_file():
        pytest.skip("uv is not in this environment; `make` installs it")
    run(uv, "build", "--quiet", "--wheel", "--out-dir", run.folder / "dist", ROOT)
    (built,) = (run.folder / "dist").glob("*.whl")
    return built


@pytest.mark.parametrize("bounds", ["lowest", "newest"])
def test_demo_and_train_run_from_the_wheel(bounds, wheel, run):
    python = find_python("3.10") if bounds == "lowest" else next(filter(None, map(find_python, NEWEST)), None)
    if python is None:
        pytest.skip("no Python 3.10 on this machine" if bounds == "lowest" else "no newer Python on this machine")
    uv, home = Path(sys.executable).with_name("uv"), run.folder / bounds
    run(uv, "venv", "--quiet", "--python", python, home / "venv")
    pins = lowest_bounds() if bounds == "lowest" else []
    run(uv, "pip", "install", "--quiet", "--python", home / "venv" / "bin" / "python", wheel, *pins)
    command = home / "venv" / "bin" / "hf-mer"
    told = run(command, "demo", "--out", home / "demo")
    assert "accelerate launch -m hf_mer.training.run le_mer" in told
    assert (home / "demo" / "explanation.png").is_file()
    recordings = sorted((home / "demo" / "corpus").rglob("*.wav"))[:24]
    rows = [
        f"{path},{('happy', 'sad')[number % 2]},speaker{number // 2 % 4}" for number, path in enumerate(recordings)
    ]
    table = home / "calls.csv"
    table.write_text("\n".join(["audio,label,speaker", *rows]) + "\n", encoding="utf-8")
    run(
        command,
        "train",
        "le_mer",
        table,
        "--from-scratch",
        "--out",
        home / "run",
        "--num_train_epochs",
        "1",
        "--use_cpu",
        "true",
    )
    assert list((home / "run").rglob("results.json"))
