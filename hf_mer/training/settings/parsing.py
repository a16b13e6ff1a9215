"""How settings are read: a YAML file, flags on top of it, and the help about them."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser, TrainingArguments

from hf_mer.training.settings.public_corpora import fit_public_corpus
from hf_mer.training.settings.roles import Role, role_of

_INHERITED = """All arguments of transformers' TrainingArguments are settings, too, such as --seed 3 or --bf16 true:
https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments"""


def parse_arguments(
    types: Sequence[type], argv: Sequence[str] | None = None, defaults: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """Reads `--config file.yaml` and flags on top of it into dataclasses.

    Args:
        types: The dataclasses.
        argv: The command line; `sys.argv[1:]` if not given.
        defaults: Values in the place of the dataclasses' own defaults; the file and flags win over them.

    Raises:
        ValueError: If the YAML file is missing, no mapping, or has a key that no dataclass has, or if there is no such
            flag; the message names the closest ones.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = settings_parser(types)
    parser.set_defaults(**(defaults or {}))
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--config")
    try:
        named, arguments = first.parse_known_args(arguments)
    except argparse.ArgumentError:
        raise ValueError("--config needs the path of a YAML file") from None
    settings = {}
    if named.config is not None:
        settings = read_yaml(named.config)
        check_known(settings, types, named.config)
    parser.set_defaults(**fit_public_corpus(settings, arguments, types))
    namespace, unknown = parser.parse_known_args(arguments)
    if unknown:
        check_known([word.partition("=")[0] for word in unknown if word.startswith("--")], types, "command line")
        raise ValueError(f"command line: '{unknown[0]}' belongs to no setting")
    values = vars(namespace)
    return tuple(cls(**{item.name: values[item.name] for item in fields(cls) if item.init}) for cls in types)


def settings_parser(types: Sequence[type], **options: Any) -> HfArgumentParser:
    """The parser of dataclasses, whose help is about the package's own settings.

    Args:
        types: The dataclasses.
        **options: Of `ArgumentParser`.
    """
    parser = HfArgumentParser(
        list(types), usage="%(prog)s [--config FILE] [--SETTING VALUE ...]", epilog=_INHERITED,
        formatter_class=_Formatter, **options,
    )  # fmt: skip
    parser.add_argument("--config", metavar="FILE", help="YAML file with settings; flags override it.")
    own = {name for cls in types for name in _own_settings(cls)} | {"config", "help"}
    for action in parser._actions:
        if action.dest not in own or action.option_strings[0].startswith("--no_"):
            action.help = argparse.SUPPRESS
    return parser


def _own_settings(cls: type) -> set[str]:
    """Settings that a class has for itself, or gives another default that people may want to change."""
    inherited = {item.name: item for item in fields(TrainingArguments)} if issubclass(cls, TrainingArguments) else {}
    own = [item for item in fields(cls) if inherited.get(item.name) is not item]
    return {item.name for item in own if not (item.name in inherited and Role.QUIET in role_of(item))}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """`--setting VALUE`, once, with help and default below it."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{action.option_strings[0]} {action.metavar or 'VALUE'}{' ...' if action.nargs == '+' else ''}"

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if not action.help or action.default is None or action.default == argparse.SUPPRESS:
            return action.help
        default = action.default
        if isinstance(default, (dict, bool)):
            default = json.dumps(default)
        elif isinstance(default, list):
            default = " ".join(map(str, default))
        return f"{action.help} (default: {default})".replace("%", "%%")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A file of settings.

    Raises:
        ValueError: If it is missing or no mapping.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such configuration file")
    content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=YamlLoader)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must contain settings as `name: value`, not {type(content).__name__}")
    return content


def check_known(settings: Iterable[str], types: Sequence[type], where: str) -> None:
    """Refuses names of settings that no dataclass has.

    Raises:
        ValueError: With the closest names.
    """
    known = {item.name for cls in types for item in fields(cls) if item.init}
    for key in settings:
        if key not in known:
            close = get_close_matches(key.lstrip("-").replace("-", "_"), known, n=3)
            raise ValueError(
                f"{where}: unknown setting '{key}'" + (f"; did you mean {', '.join(close)}?" if close else "")
            )


class YamlLoader(yaml.SafeLoader):
    """Reads settings: YAML 1.1 reads `1e-4` as a string; people mean a number."""


YamlLoader.yaml_implicit_resolvers = {
    key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
