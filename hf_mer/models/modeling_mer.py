"""What every model of this package shares: encoders, freezing, and checkpoints that bring their own code."""

import math
import os
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from torch.nn.utils import parametrize
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init

from .calibration_mer import settle_temperatures
from .fields_mer import in_file
from .mer_embeddings import current_names, keep_present_names, rename_bare
from .mer_encoders import EncodersMixin
from .mer_outputs import LayerRecord, MerOutput
from .mer_targets import refuse_smoothing_outside
from .speech_checkpoints_mer import load_speech_checkpoint
from .stored_shapes_mer import check_stored_shapes, damaged_weights
from .whisper_mer import NativeWhisperEncoder

# how encoders call what `freeze` names; Whisper's convolutions are on log-mel frames
_PARTS = {
    "text_embeddings": [["embeddings"]],
    "speech_feature_encoder": [["feature_extractor"], ["conv1", "conv2"]],
}


class MerPreTrainedModel(EncodersMixin, PreTrainedModel):
    """Base of the package's models: their encoders, what of them is frozen, and what a checkpoint carries.

    A subclass' `__init__` begins with `self.build_encoders(config)`, which sets `self.text_encoder`,
    `self.speech_encoder` and `self.video_encoder` (None where the model has no such branch), and ends with
    `self.post_init()` and `self.apply_freezing()`.
    """

    base_model_prefix = "mer"
    main_input_name = "input_ids"
    input_modalities = ("audio", "text")
    supports_gradient_checkpointing = True
    _no_split_modules = ["MaskedConformerLayer"]  # noqa: RUF012 - as transformers reads it
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    @torch.no_grad()
    @init.guard_torch_init_functions()
    def initialize_weights(self) -> None:
        """Gives the weights that no file holds their initial values: after loading the same as in `__init__`.

        transformers' own passes over modules without weights of their own in code that is not its own, such as wav2vec
        2.0's feature projection and positional convolution, which would begin as any linear layer or convolution; and
        it leaves weights behind a parametrization as they lay in memory.
        """
        taken_over = {id(module) for module in self.taken_over()}

        def visit(module: nn.Module, owner: PreTrainedModel) -> None:
            for child in module.children():
                if isinstance(child, PreTrainedModel):
                    visit(child, child)
                else:
                    visit(child, self.speech_encoder if id(child) in taken_over else owner)
            from_file_or_done = getattr(module, "_is_hf_initialized", False)
            owner._initialize_weights(module)
            if not from_file_or_done and parametrize.is_parametrized(module, "weight"):
                _begin_parametrized(module)

        visit(self, self)

    def taken_over(self) -> list[nn.Module]:
        """Modules outside the speech encoder that were its own, and begin as it says."""
        return []

    def set_attn_implementation(self, attn_implementation: Any, *args: Any, **kwargs: Any) -> None:
        """Sets the attention of every encoder that has a choice; others (WavLM, EfficientNet) stay eager."""
        if isinstance(attn_implementation, str):
            chosen = {"": attn_implementation}
            for name in self.config.modalities:
                has_choice = getattr(getattr(self, f"{name}_encoder"), "_supports_sdpa", False)
                chosen[f"{name}_config"] = attn_implementation if has_choice else "eager"
            attn_implementation = chosen
        super().set_attn_implementation(attn_implementation, *args, **kwargs)

    def _set_gradient_checkpointing(
        self, enable: bool = True, gradient_checkpointing_func: Any = None, **kwargs: Any
    ) -> None:
        """Refuses reentrant checkpointing of WavLM and of layers that are mixed.

        WavLM's layers hand each other their position bias, and its backward pass would call itself without an end.
        States that a mixture takes from between layers would have no gradient.
        """
        settings = getattr(gradient_checkpointing_func, "keywords", {})
        speech = getattr(self.config, "speech_config", None)
        if enable and settings.get("use_reentrant") and speech is not None and speech.model_type == "wavlm":
            raise ValueError("use_reentrant=True does not work with speech encoder 'wavlm': use_reentrant=False")
        if enable and settings.get("use_reentrant") and any(map(self.mixture, self.config.modalities)):
            raise ValueError("use_reentrant=True does not work where layers are mixed: use_reentrant=False")
        super()._set_gradient_checkpointing(enable, gradient_checkpointing_func, **kwargs)

    @classmethod
    def from_encoders(
        cls,
        text: Any = None,
        speech: Any = None,
        video: Any = None,
        labels: list[str] | None = None,
        **config_kwargs: Any,
    ) -> Any:
        """Builds the model around pretrained encoders: names on the Hub, local folders, or loaded models.

        Args:
            text: Checkpoint of the text encoder; leave out for a model without text.
            speech: Checkpoint of the speech encoder.
            video: Checkpoint of the encoder of video frames.
            labels: Class names in the order of the logits.
            **config_kwargs: Fields of the model's configuration; `modalities` are those of the given checkpoints if
                left out.

        Raises:
            ValueError: If no encoder is given, or one is missing for `modalities`.
        """
        sources = {"text": text, "speech": speech, "video": video}
        modalities = [name for name in cls.config_class.known_modalities if sources[name] is not None]
        if not modalities:
            raise ValueError(f"from_encoders needs a checkpoint for {' or '.join(cls.config_class.known_modalities)}")
        for modality in config_kwargs.setdefault("modalities", modalities):
            if modality not in modalities:
                raise ValueError(f"modalities={config_kwargs['modalities']}, but no {modality} checkpoint is given")
        if labels is not None:
            config_kwargs.update(id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)})
        encoders = {
            name: source if isinstance(source, nn.Module) else _load(name, source)
            for name, source in sources.items()
            if name in config_kwargs["modalities"]
        }
        configs = {f"{name}_config": encoder.config for name, encoder in encoders.items()}
        model = cls(cls.config_class(**configs, **config_kwargs))
        model.load_encoders(**{f"{name}_encoder": encoder for name, encoder in encoders.items()})
        return model.eval()  # as `from_pretrained` gives it

    def layer_record(self, output_attentions: bool | None, output_hidden_states: Any) -> LayerRecord:
        """What a forward pass returns of its encoders' layers; what is not given is the configuration's."""
        config = self.config
        return LayerRecord(
            hidden_states=config.output_hidden_states if output_hidden_states is None else output_hidden_states,
            attentions=bool(config.output_attentions if output_attentions is None else output_attentions),
        )

    def as_asked(self, output: MerOutput, return_dict: bool | None) -> MerOutput | tuple:
        """The output, or its tuple; the configuration's choice if not given."""
        wanted = self.config.return_dict if return_dict is None else return_dict
        return output.to_tuple() if wanted is False else output

    def get_input_embeddings(self) -> nn.Module:
        """The text encoder's, which `resize_token_embeddings` makes longer or shorter.

        Raises:
            NotImplementedError: If the model has no text.
        """
        if self.text_encoder is None:
            raise NotImplementedError(f"a model of {' and '.join(self.config.modalities)} has no token embeddings")
        return self.text_encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Puts other token embeddings into the text encoder; see `get_input_embeddings`."""
        self.get_input_embeddings()  # refuses a model without text
        self.text_encoder.set_input_embeddings(value)

    def freeze_feature_encoder(self) -> None:
        """Freezes the speech encoder's convolutions on the waveform, here and in the checkpoints that are saved.

        Raises:
            ValueError: If the model has no speech encoder, or one without such convolutions.
        """
        part = "speech_feature_encoder"
        if part not in self.config.freeze:
            self.config.freeze = [*self.config.freeze, part]
        try:
            self.apply_freezing()
        except ValueError:
            self.config.freeze.remove(part)
            raise

    def frozen_modules(self) -> list[nn.Module]:
        """The modules that `config.freeze` names."""
        modules: list[nn.Module] = []
        for part in self.config.freeze:
            name, _, count = part.partition(":")
            encoder = getattr(self, f"{name.partition('_')[0]}_encoder", None)
            if name == "label_embeddings":
                continue
            if encoder is None:
                raise ValueError(
                    f"freeze: '{part}' names a branch that the model does not have ({self.config.modalities})"
                )
            if name.endswith("_layers"):
                layers = _layers(encoder)
                if int(count) > len(layers):
                    raise ValueError(
                        f"freeze: '{part}', but the {encoder.config.model_type} encoder has {len(layers)} layers"
                    )
                modules += layers[: int(count)]
            else:
                modules += _parts(encoder, part) if name in _PARTS else [encoder]
        return modules

    def apply_freezing(self) -> None:
        """Turns off the gradients of the parts that `config.freeze` names; they also stay in evaluation mode.

        Whisper's positions are no parameters: they are never trained, which loading weights forgets.
        """
        if isinstance(self.speech_encoder, NativeWhisperEncoder):
            self.speech_encoder.embed_positions.requires_grad_(False)
        for module in self.frozen_modules():
            freeze_module(module)
        if "label_embeddings" in self.config.freeze:
            for name, module in self.named_children():
                if name.endswith("label_embeddings"):
                    module.requires_grad_(False)
        self._set_mode(self.training)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Loads a checkpoint; what its configuration freezes is frozen again, which loading weights undoes.

        Temperatures go where weights are missing or do not fit (`num_labels=`), see `settle_temperatures`.

        Raises:
            ValueError: If a field of the configuration cannot be, or files are damaged, or weights of another shape
                than the configuration asks for; nothing of them is in memory then.
        """
        kwargs["key_mapping"] = {**current_names(), **(kwargs.get("key_mapping") or {})}
        with_info = kwargs.pop("output_loading_info", False)
        name = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        try:
            with in_file(name, "config.json", kwargs):
                model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        except SafetensorError as error:
            raise damaged_weights(name, error) from error
        keep_present_names(model)
        model.apply_freezing()
        settle_temperatures(model, new_weights=bool(info["missing_keys"] or info["mismatched_keys"]))
        return (model, info) if with_info else model

    @staticmethod
    def _load_pretrained_model(
        model: Any, state_dict: Any, checkpoint_files: Any, load_config: Any, **kwargs: Any
    ) -> Any:
        """Where transformers has the model without its weights, and their files: the moment to compare the two."""
        whole = not load_config.ignore_mismatched_sizes and load_config.hf_quantizer is None
        if whole and state_dict is None and checkpoint_files and not kwargs:  # an adapter names its keys
            check_stored_shapes(model, checkpoint_files)
        return PreTrainedModel._load_pretrained_model(model, state_dict, checkpoint_files, load_config, **kwargs)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        rename_bare(state_dict, prefix)  # of older checkpoints, before the parts look for theirs
        super()._load_from_state_dict(state_dict, prefix, *args)

    def train(self, mode: bool = True) -> "MerPreTrainedModel":
        """Sets training mode, except for frozen parts; notes which weights temperatures were fitted for.

        Raises:
            ValueError: If a plain `Trainer` that calls this smooths labels by itself.
        """
        refuse_smoothing_outside()
        if mode and self.config.temperatures and self.config.calibrated_weights is None:
            settle_temperatures(self)
        return self._set_mode(mode)

    def _set_mode(self, mode: bool) -> "MerPreTrainedModel":
        super().train(mode)
        if mode:
            for module in self.frozen_modules():
                module.eval()
        return self

    def settle_temperatures(self) -> None:
        """Drops the temperatures that were fitted for other weights than the model has."""
        settle_temperatures(self)

    def save_pretrained(self, save_directory: str | os.PathLike, is_main_process: bool = True, **kwargs: Any) -> None:
        """Saves weights, configuration and the code that loads them, so that the folder needs no installed package.

        The configuration names every Auto class that the checkpoint serves, and the pipeline. Temperatures that were
        fitted for other weights are dropped.
        """
        # so that transformers copies the file with the others whenever it saves or loads the model's code
        from .pipeline_mer import PIPELINE_TASK, MultimodalEmotionRecognitionPipeline

        if self.is_remote_code():
            entry = f"{type(self).__module__.rpartition('.')[2]}.{type(self).__name__}"
            known = getattr(self.config, "auto_map", None) or {}
            self.config.auto_map = {**known, "AutoModel": entry, "AutoModelForAudioClassification": entry}
            pipeline = f"pipeline_mer.{MultimodalEmotionRecognitionPipeline.__name__}"
            self.config.custom_pipelines = {
                PIPELINE_TASK: {"impl": pipeline, "pt": ["AutoModelForAudioClassification"]}
            }
        settle_temperatures(self, kwargs.get("state_dict"))
        super().save_pretrained(save_directory, is_main_process=is_main_process, **kwargs)


def freeze_module(module: nn.Module) -> None:
    """Turns off the gradients of a module, and those that convolutions on the waveform ask of their input."""
    module.requires_grad_(False)
    for child in module.modules():
        freeze: Any = getattr(child, "_freeze_parameters", None)
        if freeze is not None:
            freeze()


def _begin_parametrized(module: Any) -> None:
    """Draws a convolution's weight as PyTorch does and takes it apart, unless its parts come from a file."""
    parts = module.parametrizations.weight.parameters()
    if not any(getattr(part, "_is_hf_initialized", False) for part in parts):
        weight = torch.empty_like(module.weight)
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        module.weight = weight


def _load(modality: str, source: Any) -> Any:
    return load_speech_checkpoint(source)[0] if modality == "speech" else AutoModel.from_pretrained(source)


def _parts(encoder: Any, part: str) -> list[nn.Module]:
    """The modules of an encoder that a name in `freeze` stands for."""
    for names in _PARTS[part]:
        if all(hasattr(encoder, name) for name in names):
            return [getattr(encoder, name) for name in names]
    raise ValueError(f"freeze: '{part}', but a {encoder.config.model_type} encoder has no {_PARTS[part][0][0]}")


def _layers(encoder: PreTrainedModel) -> list[nn.Module]:
    """The Transformer or Conformer layers, lowest first, wherever the architecture keeps them."""
    for module in encoder.modules():
        if (
            isinstance(module, nn.ModuleList)
            and 0 < len(module) <= encoder.config.num_hidden_layers  # fewer where a model took the last ones over
            and "attention" in _names(module[0])
        ):
            return list(module)
    raise ValueError(f"the layers of a {encoder.config.model_type} encoder cannot be frozen one by one")


def _names(module: nn.Module) -> str:
    return " ".join(name for name, _ in module.named_modules()).replace("attn", "attention")
