"""The Markdown files: their links lead somewhere, their commands parse with the real parsers, their Python runs so far."""

import ast
import contextlib
import functools
import importlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).resolve().parents[1]
WHERE_TRAINING_BEGINS = ("train_", "pretrain_", "reproduce")  # these take the settings of transformers' Trainer, too
ELSEWHERE = {
    "--kills",
    "--cpu",
    "--config_file",
    "--multi_gpu",
    "--num_cpu_threads_per_process",
    "--num_processes",
    "--no-deps",
}  # of other programs, such as accelerate


def markdown_files() -> list[str]:
    """Every Markdown file of the repository, less the package's templates."""
    listed = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.split("\0")
    if listed.returncode != 0:  # an unpacked archive without git
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*.md")]
        names = [str(path) for path in paths if not any(part.startswith(".") for part in path.parts)]
    return sorted(name for name in names if name and not name.startswith("hf_mer/") and (ROOT / name).is_file())


FILES = markdown_files()
CURRENT = [name for name in FILES if name != "CHANGELOG.md"]  # a changelog names what is no more
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose_of(name: str) -> str:
    return BLOCK.sub("", text_of(name))


def anchors(name: str) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.+)$", prose_of(name), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


# ------------------------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("name", FILES)
def test_links_lead_to_files_and_headings(name):
    broken = []
    for target in LINK.findall(SPAN.sub("", prose_of(name))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        if not file.exists():
            broken.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(str(file.resolve().relative_to(ROOT))):
            broken.append(f"{target}: no such heading")
    assert not broken


def test_a_space_needs_no_file_from_outside_its_folder():
    assert not [link for link in LINK.findall(prose_of("recipes/space/README.md")) if link.startswith("..")]


def test_the_readme_is_one_page_and_leads_to_every_other():
    assert len(text_of("README.md").splitlines()) <= 200
    linked = {link.partition("#")[0] for link in LINK.findall(prose_of("README.md"))}
    others = {name for name in FILES if name.endswith("README.md")} - {"README.md"}
    assert others | {"CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"} <= linked


# ---------------------------------------------------------------------------------------------------------- commands


def shown(text: str) -> Iterator[str]:
    """The command lines of the blocks, with the variables that the same block sets."""
    for _, language, block in BLOCK.findall(text):
        if language in ("", "bash", "text"):
            yield from _lines(block, prompt=language == "text")
    yield from re.findall(r"^    (python \S+\.py .*)$", text, re.MULTILINE)  # an indented block


def _lines(block: str, prompt: bool) -> Iterator[str]:
    variables: dict[str, str] = {}
    for line in block.replace("\\\n", " ").splitlines():
        if prompt and not line.startswith("$ "):
            continue
        line = line.removeprefix("$ ")
        assigned = re.match(r'(\w+)="([^"]*)"', line)
        if assigned:
            variables[assigned[1]] = assigned[2]
            continue
        yield re.sub(r"\$(\w+)", lambda name: variables.get(name[1], name[0]), line)


def words_of(line: str) -> list[str]:
    """A command line's words, less its comment and its gaps."""
    inner = re.fullmatch(r'eval "\$\((.*)\)"', line)
    words = shlex.split(inner[1] if inner else line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return [word for word in words if word not in ("...", "[flags]")]


def flags_of(words: list[str]) -> set[str]:
    return {spelled(word) for word in words if re.match(r"--[a-z]", word)}


def spelled(flag: str) -> str:
    return "--" + flag[2:].partition("=")[0].replace("-", "_")


@functools.cache
def flags_of_script(script: str) -> frozenset[str]:
    """What a script's `--help` lists, and the settings of `Trainer` where the script trains.

    Raises:
        AssertionError: If there is no such script.
    """
    path = ROOT / script
    assert path.is_file(), f"there is no {script}"
    printed, modules = io.StringIO(), set(sys.modules)
    with (
        mock.patch.object(sys, "argv", [script, "--help"]),
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        runpy.run_path(str(path), run_name="__main__")
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(path.parent)):
            del sys.modules[name]  # the benchmarks' own, with names such as `export`
    found = {spelled(flag) for flag in re.findall(r"--[a-z][\w-]*", printed.getvalue())}
    assert "--help" in found, f"{script} --help prints no help"
    if path.name.startswith(WHERE_TRAINING_BEGINS):
        found |= settings_of_the_trainer()
    if path.name.startswith("reproduce"):
        found |= flags_of_training("le_mer") | flags_of_training("mgcma") | flags_of_training("wavfusion")
    return frozenset(found)


@functools.cache
def settings_of_the_trainer() -> frozenset[str]:
    from transformers import TrainingArguments

    return frozenset(f"--{item.name}" for item in fields(TrainingArguments))


def flags_of_training(system: str) -> frozenset[str]:
    return flags_of_script(f"recipes/train_{system}.py")


def check_command(words: list[str]) -> None:
    """Parses a command as the program it names does; others than this project's are not looked at."""
    if words[:1] == ["hf-mer"]:
        check_hf_mer(words[1:])
    elif words[:1] == ["python"] and words[1:2] != ["-m"]:
        check_script(words[1:])
    elif words[:2] == ["accelerate", "launch"]:
        from accelerate.commands.launch import launch_command_parser

        launch = launch_command_parser().parse_args(words[2:])
        if launch.config_file is not None:
            assert (ROOT / launch.config_file).is_file(), f"there is no {launch.config_file}"
        if launch.module:
            assert launch.training_script == "hf_mer.cli", f"there is no module {launch.training_script} to launch"
            check_hf_mer(launch.training_script_args)
        else:
            check_script([launch.training_script, *launch.training_script_args])


def check_script(words: list[str]) -> None:
    script, *rest = words
    if not script.startswith("tests/"):
        unknown = flags_of(rest) - flags_of_script(script)
        assert not unknown, f"{script} has no {', '.join(sorted(unknown))}"
    missing = [word for word in rest if re.match(r"recipes/\S+\.yaml$", word) and not (ROOT / word).is_file()]
    assert not missing, f"there is no {', '.join(missing)}"


def check_hf_mer(words: list[str]) -> None:
    from hf_mer.cli import _parser

    arguments, further = _parser().parse_known_args(words)
    if getattr(arguments, "passes_on", False):
        unknown = flags_of(further) - flags_of_training(arguments.system)
    else:
        unknown = set(further)
    assert not unknown, f"hf-mer {words[0]} has no {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("name", CURRENT)
def test_commands_are_accepted_by_the_real_parsers(name, capsys):
    wrong = []
    for line in shown(text_of(name)):
        try:
            check_command(words_of(line))
        except (AssertionError, SystemExit) as error:
            wrong.append(f"{line}: {error} {capsys.readouterr().err[-300:]}")
    assert not wrong


def test_the_commands_are_found():
    """So that a change of the layout of the files cannot leave them all out."""
    lines = [line for name in CURRENT for line in shown(text_of(name))]
    started = [words[0] for words in map(words_of, lines) if words]
    assert started.count("hf-mer") > 30
    assert started.count("accelerate") > 20
    assert started.count("python") > 8


@pytest.mark.parametrize(
    "line",
    [
        "hf-mer prediction demo hello.wav",
        "hf-mer predict demo hello.wav --loud",
        "hf-mer train le_mer calls.csv --loud 3",
        "accelerate launch recipes/train_le_mer.py --loud 3",
        "accelerate launch recipes/train_nothing.py",
        "accelerate launch -m hf_mer.cli predict demo calls.csv --loud",
        "accelerate launch -m hf_mer.nothing predict demo calls.csv",
        "python recipes/train_le_mer.py --config recipes/configs/nothing.yaml",
    ],
)
def test_a_wrong_command_is_seen(line, capsys):
    with pytest.raises((AssertionError, SystemExit)):
        check_command(words_of(line))


def known_flags() -> set[str]:
    """Of every command and script."""
    from hf_mer.cli import _parser

    commands = next(action for action in _parser()._actions if action.dest == "command").choices
    options = [
        option for parser in commands.values() for action in parser._actions for option in action.option_strings
    ]
    folders = ("recipes", "recipes/benchmarks", "recipes/explanations", "model_cards")
    scripts = [path for folder in folders for path in (ROOT / folder).glob("*.py")]
    scripts = [path for path in scripts if "__main__" in path.read_text(encoding="utf-8")]  # others are their modules
    of_scripts = [flags_of_script(str(path.relative_to(ROOT))) for path in scripts]
    return set().union({spelled(option) for option in options if option.startswith("--")}, *of_scripts)


def test_flags_named_in_the_text_exist():
    known, wrong = known_flags() | {spelled(flag) for flag in ELSEWHERE}, []
    for name in CURRENT:
        for span in SPAN.findall(prose_of(name)):
            unknown = {spelled(flag) for flag in re.findall(r"(?<!\S)--[a-z][\w-]*", span)} - known
            wrong += [f"{name}: {flag} of `{span}`" for flag in unknown]
    assert not wrong


# ------------------------------------------------------------------------------------------------------------ Python


@pytest.mark.parametrize("name", CURRENT)
def test_python_compiles_and_its_imports_exist(name):
    for _, language, block in BLOCK.findall(text_of(name)):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
