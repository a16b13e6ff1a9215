"""The page served by a program of its own: the command, the Space, and what is left afterwards."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from hf_mer.app.lane import Limits
from hf_mer.app.server import check_port
from hf_mer.cli import main

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "recipes" / "space"
WAIT = 240  # seconds; a busy machine takes its time to import everything


def start(command, tmp_path, **environment):
    log = (tmp_path / "log.txt").open("w+")
    settings = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=settings, cwd=tmp_path)
    return process, Path(log.name)


def address(process, log):
    until = time.monotonic() + WAIT
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"http://\S+:\d+/", log.read_text())
        if found:
            return found.group()
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def test_the_command_serves_and_leaves_nothing_behind(checkpoint, tmp_path):
    pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'hf_mer[app]'")
    process, log = start([sys.executable, "-m", "hf_mer.cli", "app", checkpoint], tmp_path)
    try:
        with urllib.request.urlopen(address(process, log), timeout=60) as answer:
            policy = answer.headers["content-security-policy"]
            text = answer.read().decode()
        assert "connect-src 'self'" in policy
        assert "checkpoint uses text and speech to predict one of 4 emotions" in text.replace("`", "")
        assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="https?://', text)
        assert list(tmp_path.glob("hf_mer_page_*"))
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert not list(tmp_path.glob("hf_mer_page_*"))


def test_the_space_has_what_spaces_want_and_asks_for_its_checkpoint(tmp_path):
    _, front, _ = (SPACE / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    settings = yaml.safe_load(front)
    assert settings["sdk"] == "gradio"
    assert (SPACE / settings["app_file"]).exists()
    assert len(settings["short_description"]) <= 60
    assert "hf_mer[app]" in (SPACE / "requirements.txt").read_text()
    process, log = start([sys.executable, str(SPACE / "app.py")], tmp_path, MER_CHECKPOINT="")
    assert process.wait(timeout=WAIT) == 1
    assert "MER_CHECKPOINT" in log.read_text()


def test_the_space_serves_the_checkpoint_of_its_variable(checkpoint, monkeypatch):
    import runpy

    served = []
    monkeypatch.setattr(
        "hf_mer.app.server.serve", lambda model, host, limits: served.append((model.labels, host, limits))
    )
    monkeypatch.setenv("MER_CHECKPOINT", checkpoint)
    monkeypatch.setenv("MER_MAX_MINUTES", "30")
    space = runpy.run_path(str(SPACE / "app.py"))
    assert space["main"]() == 0
    assert served == [(["angry", "happy", "neutral", "sad"], None, Limits(minutes=30))]


def test_without_gradio_the_command_says_what_to_install(checkpoint, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app", checkpoint]) == 1
    assert "pip install 'hf_mer[app]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "told"), [("minutes", "nan", "max_minutes=nan"), ("waiting", "0", "from 1 to 1000")]
)
def test_limits_that_make_no_sense_are_refused(option, value, told, checkpoint, capsys):
    assert main(["app", checkpoint, f"--max-{option}", value]) == 1
    assert told in capsys.readouterr().err


def test_a_port_that_is_taken_is_found_out_before_anything_is_loaded(capsys, monkeypatch):
    def load(*_, **__):
        raise AssertionError("the checkpoint is loaded")

    monkeypatch.setattr("hf_mer.app.model.load_page_model", load)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["app", "anything", "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is taken: choose another with --port" in told
    assert main(["app", "anything", "--port", "70000"]) == 1
    assert "port 70000 must be from 1 to 65535" in capsys.readouterr().err
    check_port("127.0.0.1", port)  # is free again


def test_where_no_port_is_free_that_is_said_before_anything_is_loaded(capsys, monkeypatch):
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    monkeypatch.setattr("hf_mer.app.model.load_page_model", lambda *_, **__: pytest.fail("was loaded"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("hf_mer.app.server.PORTS", range(port, port + 1))
        assert main(["app", "anything"]) == 1
    assert f"none of the ports {port} to {port} is free: name another with --port" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["app", str(tmp_path)]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: ")
