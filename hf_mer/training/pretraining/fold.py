"""Second-stage pretraining: a speech encoder goes on, without labels, on the training part of a fold (LE-MER, 3.2)."""

import contextlib
import copy
import hashlib
import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import set_seed

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import column
from hf_mer.files import write_json
from hf_mer.training import building
from hf_mer.training.claiming import FoldFolder
from hf_mer.training.corpus import has_modality
from hf_mer.training.environment import environment, parameter_counts, peak_memory_mib
from hf_mer.training.features import add_lengths, cache_features
from hf_mer.training.fingerprints import recordings_hash
from hf_mer.training.pretraining.arguments import PretrainingArguments, SpeechEncoderArguments
from hf_mer.training.pretraining.encoder import encoder_config, load_encoder, objective_of, save_encoder
from hf_mer.training.pretraining.masks import MaskSampler
from hf_mer.training.pretraining.models import ContrastivePretrainer, MaskedUnitPretrainer
from hf_mer.training.pretraining.trainer import PretrainingTrainer, SpeechCollator
from hf_mer.training.pretraining.units import Units, at_encoder_frames, find_units, hidden_frames, input_frames
from hf_mer.training.processes import decided_by_main
from hf_mer.training.resume import last_complete_checkpoint, remove_later_checkpoints
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.deciding import RECORDINGS
from hf_mer.training.settings.model_arguments import ModelArguments
from hf_mer.training.settings.roles import deciding, defaults
from hf_mer.training.trainer import own_process_state

__all__ = ["PretrainingArguments", "SpeechEncoderArguments", "pretrain_fold"]

logger = logging.getLogger(__name__)

RESULTS = "pretraining.json"


def pretrain_fold(
    speech_encoder: Any,
    speech_overrides: Any,
    feature_extractor: str | None,
    data_arguments: DataArguments,
    arguments: PretrainingArguments,
    rows: Dataset,
    fold: Fold,
    folder: str | Path,
) -> Path:
    """Trains a speech encoder on the training part of a fold, or finds what an earlier call left.

    A finished fold is not run again, a killed one goes on from its last checkpoint. Neither text nor labels nor any
    row of the test part is used; the validation part gives losses and decides nothing.

    Args:
        speech_encoder: As in `ModelArguments`.
        speech_overrides: As in `ModelArguments`.
        feature_extractor: As in `ModelArguments`.
        data_arguments: How much of a recording is heard, and how features are kept.
        arguments: The training; `output_dir` is not used.
        rows: The corpus.
        fold: Which of its rows are trained on.
        folder: Where everything goes: model and feature extractor, and `pretraining.json` with history and settings.

    Returns:
        The folder, to be used as `speech_encoder`.

    Raises:
        ValueError: If the settings cannot go together, or the folder holds something of other settings.
    """
    folder = Path(folder)
    encoder = SpeechEncoderArguments(speech_encoder, speech_overrides, feature_extractor)
    objective = objective_of(encoder_config(encoder, fold.name), arguments)
    settings = deciding_settings(encoder, data_arguments, arguments, rows, fold)
    usual = defaults(encoder, data_arguments, arguments)
    mine = FoldFolder(folder, settings, usual, RESULTS, "an encoder", begun="*/checkpoint-*")
    with contextlib.ExitStack() as held:
        if decided_by_main(arguments, lambda: mine.claim(arguments.overwrite, held)) is None:
            _pretrain(encoder, data_arguments, arguments, objective, settings, rows, fold, folder)
    return folder


def deciding_settings(
    encoder: SpeechEncoderArguments,
    data: DataArguments,
    arguments: PretrainingArguments,
    rows: Dataset,
    fold: Fold,
) -> dict[str, Any]:
    """What decides the result; of the corpus, which recordings are trained on and looked at."""
    ids, durations, audio = column(rows, "id"), column(rows, "duration"), has_modality(rows, "speech", False)
    heard = [
        sorted((ids[index], durations[index]) for index in part if audio[index])
        for part in (fold.train, fold.validation)
    ]
    return {
        "encoder": deciding(encoder),
        "data": {"max_audio_seconds": data.max_audio_seconds},
        "training": deciding(arguments),
        "processes": arguments.world_size,
        "recordings": hashlib.sha256(json.dumps(heard).encode()).hexdigest(),
        RECORDINGS: recordings_hash(rows.select([i for i in (*fold.train, *fold.validation) if audio[i]]), ["speech"]),
    }


def _pretrain(
    encoder: SpeechEncoderArguments,
    data_arguments: DataArguments,
    arguments: PretrainingArguments,
    objective: str,
    settings: dict[str, Any],
    rows: Dataset,
    fold: Fold,
    folder: Path,
) -> None:
    """Trains, and writes encoder and results into a folder that is this run's."""
    own_process_state(arguments)
    started = time.perf_counter()
    run = _Run(encoder, data_arguments, arguments, objective, rows, fold, folder)
    trainer = run.train()
    history = [
        entry for path in sorted(run.checkpoints.glob("history-*.json")) for entry in json.loads(path.read_text())
    ]
    results = {
        "fold": fold.name,
        "objective": objective,
        "rows": {name: len(part) for name, part in run.parts.items()},
        "units": None if trainer.units is None else len(trainer.units),
        "parameters": parameter_counts(trainer.pretrainer.pretrained),
        "settings": settings,
        "history": history,
        "minutes": round((time.perf_counter() - started) / 60, 2),
        "peak_memory_mib": peak_memory_mib(),
        "environment": environment(arguments.world_size),
    }
    weights = trainer.accelerator.get_state_dict(trainer.model)  # by all processes: FSDP puts the shards together
    if arguments.process_index == 0:
        save_encoder(folder, trainer.pretrainer.pretrained, weights, run.own, run.processor.feature_extractor)
        write_json(folder / RESULTS, results)
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()


class _Run:
    """The training of one fold."""

    def __init__(
        self,
        encoder: SpeechEncoderArguments,
        data_arguments: DataArguments,
        arguments: PretrainingArguments,
        objective: str,
        rows: Dataset,
        fold: Fold,
        folder: Path,
    ):
        self.encoder, self.data_arguments, self.args = encoder, data_arguments, arguments
        self.objective, self.fold, self.checkpoints = objective, fold, folder / "checkpoints"
        model_arguments = ModelArguments(
            text_encoder=None,
            speech_encoder=encoder.speech_encoder,
            feature_extractor=encoder.feature_extractor,
            modalities=["speech"],
        )
        self.processor = building.build_processor(model_arguments, data_arguments, [], fold.name)
        self.collator = SpeechCollator(self.processor)
        rows = add_lengths(rows, self.processor, ["speech"]).add_column("row", list(range(len(rows))))
        wanted = data_arguments.cache_features
        if wanted or (wanted is None and self.processor.audio_input_name == "input_features"):
            # every row's, as fine-tuning wants them: a recording's features depend on nothing else
            with arguments.main_process_first(desc="features"):
                rows = cache_features(rows, self.processor, data_arguments.num_proc)
        self.rows, self.parts = rows, self._parts(rows)
        self.own: dict[str, Any] = {}

    def _parts(self, rows: Dataset) -> dict[str, Dataset]:
        """Rows with audio of training and, from short to long, of validation."""
        heard = has_modality(rows, "speech", use_history=False)
        lengths = np.array(column(rows, "length"))
        train = [index for index in self.fold.train if heard[index]]
        if not train:
            raise ValueError(f"fold '{self.fold.name}': no training row has audio")
        parts = {"train": rows.select(train)}
        validation = [index for index in self.fold.validation if heard[index]]
        if validation:
            parts["validation"] = rows.select(sorted(validation, key=lambda index: lengths[index]))
        return parts

    def train(self) -> PretrainingTrainer:
        """The last iteration's trainer, at its end; iterations before it only give units."""
        if self.objective == "contrastive":
            return self._train(1, None)
        iterations, trainer = self.args.unit_iterations, None
        for iteration in range(1, iterations + 1):
            if self._units_file(iteration + 1).exists() and iteration < iterations:
                continue
            trainer = self._train(iteration, self._units(iteration, trainer))
        assert trainer is not None  # the last iteration is always there
        return trainer

    def _train(self, iteration: int, units: Units | None) -> PretrainingTrainer:
        """One training from the start, or from its last checkpoint on."""
        set_seed(self.args.seed)
        pretrained, self.own = load_encoder(self.encoder, self.args, self.objective, self.fold.name)
        model: Any = (
            ContrastivePretrainer(pretrained)
            if units is None
            else MaskedUnitPretrainer(pretrained, len(units), self.args.unit_temperature, self.args.unmasked_weight)
        )
        folder = self.checkpoints / f"iteration-{iteration}"
        trainer = PretrainingTrainer(
            model=model,
            args=self._trainer_arguments(folder),
            train_dataset=self.parts["train"],
            eval_dataset=self.parts.get("validation"),
            data_collator=self.collator,
            masks=MaskSampler(
                self.args.mask_time_prob,
                self.args.mask_time_length,
                self.args.mask_time_min_masks,
                num_negatives=model.config.num_negatives if units is None else 0,
                seed=self.args.seed,
            ),
            units=units,
        )
        checkpoint = decided_by_main(self.args, lambda: last_complete_checkpoint(folder))
        if checkpoint is not None:
            logger.warning("resuming from %s", checkpoint)
        if self.args.process_index == 0:
            remove_later_checkpoints(folder, checkpoint)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if self.args.process_index == 0:
            history = [{"iteration": iteration, **entry} for entry in trainer.state.log_history]
            write_json(self.checkpoints / f"history-{iteration}.json", history)
        return trainer

    def _trainer_arguments(self, folder: Path) -> PretrainingArguments:
        args = copy.copy(self.args)
        args.output_dir = str(folder)
        if "validation" not in self.parts:
            args.eval_strategy, args.load_best_model_at_end = "no", False
        elif args.eval_strategy == "no":
            args.eval_strategy = "epoch"
        return args

    def _units_file(self, iteration: int) -> Path:
        return self.checkpoints / f"units-{iteration}.safetensors"

    def _units(self, iteration: int, trainer: PretrainingTrainer | None) -> Units:
        """Units of an iteration: found by the first process and read by the others, and by a run that goes on."""
        path = self._units_file(iteration)
        with self.args.main_process_first(desc="units"):
            if not path.exists():
                if iteration == 1:
                    source = input_frames(self.processor, self.rows, self.data_arguments.num_proc)
                else:
                    assert trainer is not None  # it is only left out where these units are there
                    model, size = trainer.pretrainer, self.args.per_device_eval_batch_size
                    layer = self.args.unit_layer or (model.config.num_hidden_layers + 1) // 2
                    source = hidden_frames(model, self.collator, layer, size, self.args.device)
                units = find_units(
                    self.parts["train"],
                    self.parts.get("validation"),
                    source,
                    self.args.unit_clusters,
                    self.args.unit_frames,
                    self.args.seed,
                )
                if iteration == 1 and self.processor.audio_input_name != "input_features":
                    units = at_encoder_frames(units, encoder_config(self.encoder, self.fold.name))
                units.save(path)
        return Units.load(path)
