"""What every setting is for: whether it decides a fold's result, and what else depends on it.

Fields of the package's dataclasses say it themselves, see `setting`. What they inherit from `TrainingArguments`
decides unless `INHERITED` lists it, so that a setting which a later version of transformers brings is compared, too.
"""

import enum
import json
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, field, fields
from typing import Any


class Role(enum.Flag):
    """What depends on a setting; without any flag nothing does but time, memory, files and messages."""

    HARMLESS = 0
    DECIDES = enum.auto()
    """The result of a fold: it is written down, and a fold that is finished is not taken for one of another value."""
    QUIET = enum.auto()
    """It decides, but is written down only where it is not at its default: results of earlier versions lack it."""
    FIXED = enum.auto()
    """It is the same for all candidates of a grid: which rows and folds there are, or what is compared."""
    LOADS = enum.auto()
    """Which rows the loaded corpus has, and what is in them."""
    LIMITS = enum.auto()
    """How much of a recording or video is read; a processor keeps it, too."""
    HEARD = enum.auto()
    """Which recordings the self-supervised second stage hears."""
    CONFIG = enum.auto()
    """It is a field of the model's configuration."""
    PRETRAINED = enum.auto()
    """It names a pretrained encoder, or what prepares its input."""
    TRAINED = enum.auto()
    """It names a trained system."""


CORPUS = Role.DECIDES | Role.FIXED | Role.LOADS | Role.HEARD
PROTOCOL = Role.DECIDES | Role.FIXED | Role.HEARD
READING = Role.DECIDES | Role.LOADS
PLACE = Role.FIXED

INHERITED: dict[str, Role] = {
    # results have named these ever since there are any
    **dict.fromkeys(
        (
            "seed", "data_seed", "do_train", "lr_scheduler_kwargs", "max_steps", "weight_decay", "optim", "optim_args",
            "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "gradient_accumulation_steps", "bf16", "fp16",
        ),
        Role.DECIDES,
    ),
    **dict.fromkeys(
        (
            # messages and reports
            "logging_steps", "logging_first_step", "logging_nan_inf_filter", "log_level", "log_level_replica",
            "log_on_each_node", "disable_tqdm", "run_name", "project", "trackio_space_id", "trackio_bucket_id",
            "trackio_static_space_id", "include_num_input_tokens_seen", "debug", "skip_memory_metrics",
            # checkpoints, and sending them to the Hub
            "save_steps", "save_on_each_node", "save_only_model", "enable_jit_checkpoint", "resume_from_checkpoint",
            "push_to_hub", "hub_model_id", "hub_strategy", "hub_token", "hub_private_repo", "hub_always_push",
            "hub_revision",
            # where batches are made and computed
            "use_cpu", "local_rank", "dataloader_num_workers", "dataloader_pin_memory", "dataloader_prefetch_factor",
            "dataloader_persistent_workers", "dataloader_multiprocessing_context", "ddp_backend", "ddp_timeout",
            "ddp_bucket_cap_mb", "ddp_find_unused_parameters", "ddp_static_graph",
            # memory against time, for the same numbers
            "gradient_checkpointing", "gradient_checkpointing_kwargs", "activation_checkpointing",
            "activation_checkpointing_kwargs", "torch_empty_cache_steps", "eval_accumulation_steps",
            # no part of the training is asked for by these, and the direction follows from the metric
            "do_eval", "do_predict", "greater_is_better",
        ),
        Role.HARMLESS,
    ),
}  # fmt: skip
"""Fields of `TrainingArguments` that decide nothing, and those that are written down at any value."""


class _Help(str):
    """A help text that knows its field's role: `HfArgumentParser` hands all else in a field's metadata to argparse."""

    role: Role


def setting(default: Any, help: str, role: Role = Role.DECIDES) -> Any:
    """A field of a dataclass of settings.

    Args:
        default: Its default; of a list or a dictionary every object gets a copy.
        help: For `--help`.
        role: What depends on it.
    """
    metadata = {"help": _Help(help)}
    metadata["help"].role = role
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def role_of(item: "Field[Any]") -> Role:
    """What depends on a field of a dataclass of settings; what nobody has said anything of decides."""
    said = item.metadata.get("help")
    return said.role if isinstance(said, _Help) else INHERITED.get(item.name, Role.DECIDES | Role.QUIET)


def names_with(role: Role, *classes: Any) -> list[str]:
    """The settings of dataclasses that have all flags of a role, each once."""
    return list(dict.fromkeys(item.name for cls in classes for item in _fields(cls) if role in role_of(item)))


def harmless_names(*classes: Any) -> list[str]:
    """The settings of dataclasses that decide nothing."""
    return [item.name for cls in classes for item in _fields(cls) if Role.DECIDES not in role_of(item)]


def values_with(role: Role, arguments: Any) -> dict[str, Any]:
    """The values of the settings that have all flags of a role; quiet ones only where they are not at their default.

    What is named after them is thus called the same as before there was a quiet one.
    """
    usual = defaults(arguments)
    roles = {item.name: role_of(item) for item in _fields(arguments)}
    values = {name: getattr(arguments, name) for name in names_with(role, arguments)}
    return {
        name: value
        for name, value in values.items()
        if not (Role.QUIET in roles[name] and plain(value) == usual[name])
    }


def deciding(arguments: Any) -> dict[str, Any]:
    """The settings that decide, by name, as JSON has them; quiet ones only where they are not at their default."""
    usual = defaults(arguments)
    values = {
        item.name: (plain(getattr(arguments, item.name)), Role.QUIET in role_of(item))
        for item in _fields(arguments)
        if Role.DECIDES in role_of(item)
    }
    return {name: value for name, (value, quiet) in values.items() if not (quiet and value == usual[name])}


def defaults(*classes: Any) -> dict[str, Any]:
    """The defaults of all settings of dataclasses, or of their objects, as JSON has them."""
    return {item.name: plain(_default(item)) for cls in classes if cls is not None for item in _fields(cls)}


def plain(value: Any) -> Any:
    """A value as JSON has it; of an object with settings of its own (Accelerate's) those that are not usual."""
    if hasattr(value, "to_dict"):
        usual = type(value)().to_dict()
        return {name: own for name, own in value.to_dict().items() if own != usual.get(name)} or None
    return json.loads(json.dumps(getattr(value, "value", value), default=_plain_part))


def _plain_part(value: Any) -> Any:
    return getattr(value, "value", str(value))


def _fields(cls: Any) -> Iterator["Field[Any]"]:
    return (item for item in fields(cls) if item.init)


def _default(item: "Field[Any]") -> Any:
    factory: Callable[[], Any] | Any = item.default_factory
    if factory is not MISSING:
        return factory()
    return None if item.default is MISSING else item.default
