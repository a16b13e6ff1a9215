"""The frame of `hf-mer`: help, exit statuses, completion."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

import hf_mer.cli
from hf_mer.cli import main


@pytest.fixture
def checkpoint(tiny_checkpoint):
    return tiny_checkpoint()[0]


def test_help_is_quick_and_teaches_by_example():
    code = "import sys; from hf_mer.cli import _parser; print(_parser().format_help()); print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "hf-mer predict" in output
    assert output.strip().endswith("False")  # nothing heavy was imported


def test_debug_shows_the_traceback(checkpoint):
    with pytest.raises(ValueError, match="no such audio file"):
        main(["--debug", "predict", checkpoint, "nowhere.wav"])


def test_debug_also_behind_the_command(checkpoint):
    with pytest.raises(ValueError, match="no such audio file"):
        main(["predict", checkpoint, "nowhere.wav", "--debug"])


def test_starts_in_less_than_a_third_of_a_second():
    """Time of the processor, of which other programs on the machine take nothing away."""
    code = "import os; from hf_mer.cli import _parser; _parser().format_help(); times = os.times(); print(times.user + times.system)"
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.3


@pytest.mark.parametrize("command", sorted(hf_mer.cli._parser()._subparsers._group_actions[0].choices))
def test_every_command_teaches_by_example(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    told = capsys.readouterr().out
    examples = re.findall(rf"^  (?:eval .*)?hf-mer {command}.*$", told, re.MULTILINE)
    assert examples
    parser = hf_mer.cli._parser()
    for example in examples:  # each of them is understood
        words = re.split(r"\s{2,}#", example.strip())[0]
        if "$(" in words or ">" in words:
            continue
        import shlex

        parsed, further = parser.parse_known_args(shlex.split(words)[1:])
        assert parsed.command == command
        assert not further or parsed.passes_on


def test_wrong_usage_is_2(capsys):
    for arguments in ([], ["nothing"], ["labels"], ["labels", "a", "--nothing"]):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
    assert "unrecognized arguments: --nothing" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "status", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "stopped")])
def test_interruption_is_no_traceback(tmp_path, number, status, word):
    """Ctrl-C, and what a scheduler sends, while a corpus is generated."""
    command = [sys.executable, "-m", "hf_mer.cli", "generate", str(tmp_path / "corpus"), "--num-utterances", "20000"]
    # a suite that runs in the background hands on that Ctrl-C is ignored
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **listening) as process:
        for character in iter(lambda: process.stderr.read(1), ""):
            if character == "%":  # of the progress bar
                break
        process.send_signal(getattr(signal, number))
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert told.splitlines()[-1].startswith(word)
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())


def test_a_reader_that_leaves_is_no_error():
    command = [sys.executable, "-m", "hf_mer.cli", "completion", "bash"]
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 141
    assert told == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_scripts(shell, capsys, tmp_path):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "predict" in script
    assert "batch-size" in script
    if shutil.which(shell) and shell != "tcsh":
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_bash_completes(capsys, tmp_path):
    """The script in a real bash: what it offers after `hf-mer pre`, and behind a flag with choices."""
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)

    def offered(*words):
        line = " ".join(words)
        code = (
            f"source {tmp_path}/script; function=$(complete -p hf-mer | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
            f"COMP_WORDS=({line} ''); COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}; "
            "$function hf-mer; echo ${COMPREPLY[@]}"
        )
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
        return set(done.stdout.split())

    assert {"predict", "prepare"} == offered("hf-mer", "pre")
    assert {"le_mer", "mgcma", "wavfusion", "baseline"} <= offered("hf-mer", "train", "")
