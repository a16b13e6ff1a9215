"""`hf-mer completion`: a static script that completes commands, flags and files."""

import argparse
from typing import Any

from hf_mer.cli.help import add_command

SHELLS = ("bash", "zsh", "fish", "tcsh")
_EXAMPLES = """examples:
  eval "$(hf-mer completion bash)"                                          # in ~/.bashrc; faster at every start:
  hf-mer completion bash > ~/.local/share/bash-completion/completions/hf-mer
  hf-mer completion zsh > ~/.zfunc/_hf-mer                                  # with fpath+=~/.zfunc before compinit
  hf-mer completion fish > ~/.config/fish/completions/hf-mer.fish
  hf-mer completion tcsh > ~/.hf-mer.tcsh                                   # and source it in ~/.tcshrc
"""
_FILES = {"checkpoint", "inputs", "source", "out", "plot", "results", "path", "accelerate_config"}


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    made = add_command(commands, "completion", _completion, "print a shell completion script", _EXAMPLES)
    made.add_argument("shell", choices=SHELLS, help="shell")


def _completion(arguments: argparse.Namespace) -> None:
    import shtab

    parser = arguments.parser
    for command in _commands(parser):
        for action in command._actions:
            if action.dest in _FILES and action.choices is None and action.nargs != 0:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))


def _commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [command for action in actions for command in action.choices.values()]
