"""LoRA: low-rank adapters on the attention of encoders that else stay as they are, merged into them after training.

Source: Hu et al. (2021), LoRA, arXiv 2106.09685; the adapters are those of `peft`, whose scale is `LORA_SCALE`.
"""

import logging
from typing import Any

import torch
from torch import nn

from hf_mer.models.modeling_mer import freeze_module
from hf_mer.training.environment import parameter_counts

logger = logging.getLogger(__name__)

LORA_SCALE = 2
"""`lora_alpha` over the rank: what an adapter adds is multiplied by it, whatever the rank."""
NO_PROJECTIONS = ("gru_rel_pos_linear",)
"""Linear layers of attention that project neither queries, keys, values nor outputs: WavLM's gate of positions."""


def attention_projections(model: Any, rank: int | None) -> dict[str, list[str]]:
    """Names of the linear layers of attention, by encoder, of all encoders that are not frozen.

    Every linear layer within a module whose class is called attention counts, so that it does not matter what an
    architecture calls its projections; layers that `config.freeze` names have none.

    Args:
        model: One of the package's.
        rank: Of the adapters; None for none, which need no layers.

    Raises:
        ValueError: If an encoder has no such layer, or one too narrow for the rank; or if all encoders are frozen.
    """
    if rank is None:
        return {}
    frozen = {id(module) for part in model.frozen_modules() for module in part.modules()}
    found: dict[str, list[str]] = {}
    for modality in model.config.modalities:
        name = f"{modality}_encoder"
        encoder = getattr(model, name)
        if id(encoder) not in frozen:
            projections = _linear_layers_of_attention(encoder)
            kind = encoder.config.model_type
            if not projections:
                raise ValueError(
                    f"lora_rank={rank}: the {modality} encoder ({kind}) has no linear layers of attention to adapt; "
                    f"freeze it (freeze: {name}), or leave lora_rank out"
                )
            _check_rank(rank, {path: layer for path, layer in projections.items() if id(layer) not in frozen}, kind)
            found[name] = [f"{name}.{path}" for path, layer in projections.items() if id(layer) not in frozen]
    if not any(found.values()):
        raise ValueError(
            f"lora_rank={rank}: freeze={model.config.freeze} leaves no attention of an encoder to adapt; take an "
            "encoder out of freeze, or leave lora_rank out"
        )
    return found


def _linear_layers_of_attention(encoder: nn.Module) -> dict[str, nn.Linear]:
    roots = [f"{name}." for name, module in encoder.named_modules() if "attention" in type(module).__name__.lower()]
    return {
        name: module
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear)
        and name.startswith(tuple(roots))
        and name.rpartition(".")[2] not in NO_PROJECTIONS
    }


def _check_rank(rank: int, layers: dict[str, nn.Linear], kind: str) -> None:
    for name, layer in layers.items():
        width = min(layer.in_features, layer.out_features)
        if rank >= width:
            raise ValueError(
                f"lora_rank={rank} must be below the width of what it adapts: {kind}'s {name} has {width}"
            )


def prepare_training(trainer: Any, projections: dict[str, list[str]], rank: int | None) -> dict[str, int]:
    """Adds adapters where there are to be any, and says how many parameters are trained.

    Args:
        trainer: Of the model, before its optimizer is made.
        projections: Of `attention_projections`.
        rank: Of the adapters, None for none.

    Returns:
        `all` parameters of the model, adapters not counted, and the `trained` ones, adapters counted.

    Raises:
        ValueError: If weights are sharded over processes, into which adapters cannot be merged.
    """
    counts = parameter_counts(trainer.model)
    if rank is not None:
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise ValueError("lora_rank: adapters are not merged into sharded weights; do without FSDP and DeepSpeed")
        add_lora(trainer.model, projections, rank, trainer.args.seed)
        counts["trained"] = parameter_counts(trainer.model)["trained"]
        where = ", ".join(f"{len(paths)} of {name}" for name, paths in projections.items())
        logger.info("LoRA of rank %d on linear layers of attention: %s", rank, where)
    if trainer.args.do_train:
        shares = counts["trained"], counts["all"], 100 * counts["trained"] / counts["all"]
        logger.info("%d of %d parameters are trained (%.1f %%)", *shares)
    return counts


def add_lora(model: Any, projections: dict[str, list[str]], rank: int, seed: int) -> None:
    """Puts an adapter on every projection, and freezes all else of these encoders.

    What lies outside the encoders (label embeddings, alignment, fusion, deep layers, classifier) is trained as before.
    Encoders stay in training mode: their dropout and SpecAugment act on what the adapters learn from, and batch norms
    (of a conformer) go on with their statistics.

    Args:
        model: Its modules are replaced in place.
        projections: Of `attention_projections`.
        rank: Of every adapter.
        seed: The adapters' initial values depend on it alone, and not on what was drawn before.
    """
    from peft import LoraConfig, inject_adapter_in_model

    for name in projections:
        freeze_module(getattr(model, name))
    whole = [parameter for parameter in model.parameters() if parameter.requires_grad]
    names = [path for paths in projections.values() for path in paths]
    config = LoraConfig(r=rank, lora_alpha=LORA_SCALE * rank, target_modules=names)
    config._register_custom_module({nn.Linear: _adapted_linear()})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    del model.peft_config  # by which transformers would take the model for one that loads adapters
    for parameter in whole:
        parameter.requires_grad_(True)


def _adapted_linear() -> type:
    """The class of peft's adapters on linear layers, which here also count where only a layer's weight is read."""
    from peft.tuners.lora import Linear

    class AdaptedLinear(Linear):
        @property
        def weight(self) -> torch.Tensor:
            """The weight with what the adapters add: WavLM's attention calls none of its projections."""
            weight: Any = self.base_layer.weight
            return weight if self.merged else weight + self.get_delta_weight(self.active_adapters[0])

    return AdaptedLinear


def merge_lora(model: nn.Module) -> None:
    """Adds what the adapters have learned to the layers they are on, and takes them out: the model is a plain one.

    Raises:
        ValueError: If a weight would not be a number.
    """
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge(safe_merge=True)
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, module.get_base_layer())
