"""One fold of a neural system: label store, training, one test, results and figures."""

import copy
import gc
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import set_seed

from hf_mer.data.checks import check_votes
from hf_mer.data.collator import MerDataCollator
from hf_mer.data.protocols.folds import Fold, select_fold
from hf_mer.data.schema import column
from hf_mer.files import write_atomically, write_json
from hf_mer.metrics.calibration import calibration_scores
from hf_mer.metrics.scores import compute_metrics_for_trainer, emotion_scores
from hf_mer.models import LabelEmbeddingStore, MerProcessor
from hf_mer.models.layer_mixture_mer import layer_weights
from hf_mer.stopping import lacks_space
from hf_mer.training import building
from hf_mer.training.balancing import class_shares
from hf_mer.training.calibrating import calibrate, row_temperatures, test_calibration
from hf_mer.training.corpus import corpus_language, has_modality, rows_without
from hf_mer.training.cross_validation import CrossValidation
from hf_mer.training.features import add_lengths, cache_features, cache_frames
from hf_mer.training.label_store.stores import StoreRecipe, find_or_build
from hf_mer.training.lora import attention_projections, merge_lora, prepare_training
from hf_mer.training.processes import decided_by_main
from hf_mer.training.results import divergence_from_raters, test_results, write_predictions
from hf_mer.training.resume import (
    is_trained,
    keep_trained,
    last_complete_checkpoint,
    load_trained,
    remove_later_checkpoints,
)
from hf_mer.training.schedule import PatienceAfterWarmup
from hf_mer.training.selection import Settings, check_grid
from hf_mer.training.settings.arguments import DataArguments, MerTrainingArguments
from hf_mer.training.settings.checking import check_settings
from hf_mer.training.settings.deciding import fold_settings
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.settings.model_arguments import ModelArguments
from hf_mer.training.stages import Stage, Stages
from hf_mer.training.states import cache_states
from hf_mer.training.trainer import MerTrainer, own_process_state

logger = logging.getLogger(__name__)


class FoldTraining(CrossValidation):
    """Trains and tests one system in one fold, with the settings that are given, see `Experiment`.

    Attributes:
        candidates: All settings of every candidate of a grid, by name.
        nested: What `select_candidate` gave, for the results; None without a grid.
        keep_model: Whether the model is calibrated and saved, and not only scored.
    """

    def __init__(
        self,
        model_arguments: ModelArguments,
        data_arguments: DataArguments,
        store_arguments: LabelStoreArguments | None,
        training_arguments: MerTrainingArguments,
    ):
        check_settings(model_arguments, data_arguments, store_arguments, training_arguments)
        super().__init__(data_arguments, training_arguments, model_arguments.modalities)
        self.model_arguments, self.store_arguments = model_arguments, store_arguments
        self.nested: dict[str, Any] | None = None
        self.keep_model = True
        self.candidates = check_grid(self.arguments)

    @property
    def arguments(self) -> Settings:
        """All settings."""
        return Settings(self.model_arguments, self.data_arguments, self.store_arguments, self.args)

    @property
    def lora_rank(self) -> int | None:
        """Of the adapters that are trained; None where the encoders' own weights are, or nothing is."""
        return self.model_arguments.lora_rank if self.args.do_train else None

    def settings(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """What decides a fold's result."""
        return fold_settings(rows, fold, self.model_arguments, self.data_arguments, self.store_arguments, self.args)

    def check(self, rows: Dataset, folds: Sequence[Fold]) -> None:
        """Looks at the classes of folds that are run, and at the votes that they are to be trained towards.

        Raises:
            CorpusError: If a class has too few training rows, a part has a label that training does not know, or there
                are to be soft targets and no training row has votes.
        """
        super().check(rows, folds)
        asking = (self.args, *(each.training for each in self.candidates.values()))
        if self.args.do_train and any(one.soft_targets for one in asking):
            for fold in folds:
                check_votes(rows, fold.train, f"the training split of fold {fold.name}")

    def _run_fold(self, rows: Dataset, fold: Fold, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
        own_process_state(self.args)
        try:
            return self._train_and_test(rows, fold, folder, settings)
        finally:  # a trainer is full of cycles, and would keep its model until memory is short
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _train_and_test(self, rows: Dataset, fold: Fold, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
        """Label store, training, one test, files."""
        started, stages = time.perf_counter(), Stages()
        self.labels = list(rows.features["label"].names)
        set_seed(self.args.seed)
        all_texts = column(rows, "text")
        texts = [all_texts[i] or "" for i in fold.train]
        processor = building.build_processor(self.model_arguments, self.data_arguments, texts, fold.name)
        model, pretraining = building.build_model(
            self.model_arguments, self.labels, processor, fold.name, self._needs_quantizer()
        )
        if self.args.do_train and "text" in model.config.modalities and not model.config.language:
            model.config.language = corpus_language(self.data_arguments)
        if pretraining is not None:
            pretraining.to(self.args.device)
        projections = attention_projections(model, self.lora_rank)
        with stages.measure("features") as stage:
            parts = self._parts(rows, fold, processor, model, stage)
        states = self._states_to_compare(parts, model)
        if self.model_arguments.has_label_store:
            with stages.measure("label_store") as stage, self.args.main_process_first(desc="label store"):
                recipe = self._store_recipe(model, processor, parts["train"], pretraining, fold)
                processor.label_store = find_or_build(recipe, stage, progress=not self.args.disable_tqdm)
            model.set_label_embeddings(processor.label_store)
        elif hasattr(model, "set_label_embeddings"):  # a trained checkpoint brings its own, or never had one
            processor.label_store = processor.label_store or LabelEmbeddingStore(self.labels)
        trainer = self._trainer(folder, model, processor, parts)
        parameters = prepare_training(trainer, projections, self.lora_rank)
        with stages.measure("training") as stage:
            history = self._train(trainer, folder, stage) if self.args.do_train else []
            if self.args.do_train:
                model.config.class_prior = class_shares(column(parts["train"], "label"), len(self.labels))
            calibration = self._calibrate(trainer, parts.get("validation"), model)
        with stages.measure("test"):
            test, measured = self._test(trainer, rows, fold, parts["test"], folder, model)
        results = self._report(fold, settings, parameters, test, history, started, stages)
        results["calibration"] = {**calibration, **measured}
        if states and self.keep_model and self.is_main:
            from hf_mer.training.baselines.linear_reference import linear_reference  # scikit-learn comes along

            metric, seed = str(self.args.metric_for_best_model), self.args.seed
            results["linear_reference"] = linear_reference(parts, states, len(self.labels), metric, seed)
        if model.config.class_weights:  # counted in the training rows, or those of the checkpoint
            results["class_weights"] = dict(zip(self.labels, model.config.class_weights, strict=True))
        logger.info("peak memory of fold %s: %s MiB", fold.name, results["peak_memory_mib"])
        if self.nested is not None:
            results["nested"] = self.nested
        weights = trainer.accelerator.get_state_dict(trainer.model)  # by all processes: FSDP puts the shards together
        if self.is_main:
            if mixed := layer_weights(weights):
                results["layer_weights"] = mixed
            self._save(folder, trainer, weights, processor, results, parts, pretraining)
        trainer.accelerator.wait_for_everyone()
        return results

    def _needs_quantizer(self) -> bool:
        """Whether the pretraining heads of the speech checkpoint are wanted: for codes or for their space."""
        arguments: Any = self.model_arguments
        if not arguments.has_label_store or self.store_arguments is None:
            return False
        if "speech" not in arguments.modalities or not isinstance(arguments.speech_encoder, str):
            return False
        if arguments.tonal_label_init == "none":
            return False
        codes = self.store_arguments.discretizer == "codebook" and arguments.tonal_label_init in (None, "codebook")
        return codes or arguments.tonal_space == "contrastive"

    def _parts(
        self, rows: Dataset, fold: Fold, processor: MerProcessor, model: Any, stage: Stage
    ) -> dict[str, Dataset]:
        """Train, validation and test rows with lengths and what is cached; the last two sorted by length."""
        modalities = self.model_arguments.modalities
        rows = add_lengths(rows, processor, modalities)
        wanted = self.data_arguments.cache_features
        frozen = [name for name in model.cacheable_modalities if name in modalities] if wanted in (True, None) else []
        on_frames = wanted or (wanted is None and processor.audio_input_name == "input_features")
        if "speech" in modalities and "speech" not in frozen and on_frames:
            with self.args.main_process_first(desc="features"):
                rows = cache_features(rows, processor, self.data_arguments.num_proc, stage)
        if "video" in modalities and "video" not in frozen and wanted:
            with self.args.main_process_first(desc="frames"):
                rows = cache_frames(rows, processor, self.data_arguments.num_proc, stage)
        if "speech" in frozen and self.args.spec_augment and processor.audio_input_name == "input_features":
            logger.info("spec_augment masks nothing: the states of the frozen speech encoder are computed once")
        for name in frozen:
            with self.args.main_process_first(desc=f"states of the frozen {name} encoder"):
                rows = cache_states(
                    rows,
                    name,
                    model.to(self.args.device),
                    self._collator(processor, modalities=[name]),
                    batch_size=self.args.per_device_eval_batch_size,
                    dtype=self.data_arguments.cache_dtype,
                    stage=stage,
                )
        parts = dict(select_fold(rows, fold))
        return {name: part if name == "train" else _by_length(part) for name, part in parts.items()}

    def _states_to_compare(self, parts: dict[str, Dataset], model: Any) -> list[str]:
        """Modalities whose states the linear reference is of; none if it is not wanted."""
        if not self.args.linear_reference:
            return []
        states = [name for name in model.config.modalities if f"{name}_states" in parts["train"].column_names]
        if not states:  # what a checkpoint freezes is known when it is loaded
            raise ValueError("linear_reference: the checkpoint freezes no encoder; leave it out")
        return states

    def _collator(
        self, processor: MerProcessor, training: bool = False, modalities: list[str] | None = None
    ) -> MerDataCollator:
        spec_augment: Any = self.args.spec_augment
        return MerDataCollator(
            processor,
            modalities or self.model_arguments.modalities,
            use_history=self.data_arguments.use_history,
            modality_dropout=self.args.modality_dropout,
            spec_augment=spec_augment,
            training=training,
            soft_targets=self.args.soft_targets,
            every_modality=self.args.world_size > 1,
        )

    def _store_recipe(
        self, model: Any, processor: MerProcessor, train: Dataset, pretraining: Any, fold: Fold
    ) -> StoreRecipe:
        return StoreRecipe(
            model.to(self.args.device),
            self._collator(processor),
            train,
            self.labels,
            self.store_arguments or LabelStoreArguments(),
            pretraining,
            building.label_text_encoder(self.model_arguments, fold.name, processor),
            seed=self.args.seed,
            batch_size=self.args.per_device_eval_batch_size,
            num_workers=self.args.dataloader_num_workers,
            states=self.data_arguments.cache_dtype if "speech_states" in train.column_names else None,
        )

    def _trainer(self, folder: Path, model: Any, processor: MerProcessor, parts: dict[str, Dataset]) -> MerTrainer:
        args = copy.copy(self.args)
        args.output_dir = str(folder / "checkpoints")
        args.push_to_hub = False  # not these; the finished fold is sent, with what was measured
        callbacks = []
        if "validation" in parts and args.do_train:
            if args.eval_strategy == "no":
                args.eval_strategy = "epoch"
            args.save_strategy, args.save_steps = args.eval_strategy, args.eval_steps or args.save_steps
            args.load_best_model_at_end, args.greater_is_better = True, True
            if args.early_stopping_patience:
                callbacks.append(PatienceAfterWarmup(args.early_stopping_patience))
        else:
            args.eval_strategy, args.load_best_model_at_end, args.metric_for_best_model = "no", False, None
        return MerTrainer(
            model=model,
            args=args,
            train_dataset=parts["train"],
            eval_dataset=parts.get("validation"),
            data_collator=self._collator(processor),
            train_collator=self._collator(processor, training=True),
            processing_class=processor,
            compute_metrics=compute_metrics_for_trainer(len(self.labels)),
            callbacks=callbacks,
        )

    def _train(self, trainer: MerTrainer, folder: Path, stage: Stage) -> list[dict[str, Any]]:
        """Trains to the end, from wherever an earlier call was stopped; gives the log."""
        checkpoints = folder / "checkpoints"
        if self.lora_rank is not None and is_trained(checkpoints):
            merge_lora(trainer.model)  # its weights are a plain model's
        history = load_trained(checkpoints, trainer.model)
        if history is not None:
            stage.add(reused=True)
            return history
        checkpoint = decided_by_main(self.args, lambda: last_complete_checkpoint(checkpoints))
        if checkpoint is not None:
            logger.warning("resuming from %s", checkpoint)
        if self.is_main:
            remove_later_checkpoints(checkpoints, checkpoint)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if self.lora_rank is not None:
            merge_lora(trainer.model)
        weights = trainer.accelerator.get_state_dict(trainer.model)  # by all processes: FSDP puts the shards together
        if self.is_main:
            keep_trained(
                checkpoints, trainer.accelerator.unwrap_model(trainer.model), weights, trainer.state.log_history
            )
        trainer.accelerator.wait_for_everyone()
        return trainer.state.log_history

    def _calibrate(self, trainer: MerTrainer, validation: Dataset | None, model: Any) -> dict[str, Any]:
        """Temperatures and thresholds of validation, into the configuration; none for a model that is not kept."""
        if not self.keep_model:
            return {"source": None, "temperatures": {}, "thresholds": {}}

        def predict(rows: Dataset, modalities: Sequence[str]) -> np.ndarray:
            return self._predict(trainer, rows, modalities, "calibration")

        keep = not self.args.do_train
        return calibrate(model.config, validation, predict, self.data_arguments.use_history, keep)

    def _predict(self, trainer: MerTrainer, rows: Dataset, modalities: Sequence[str], purpose: str) -> np.ndarray:
        """Logits of rows that are given with some of their modalities. Shape `(N, C)`."""
        return trainer.logits(
            rows, self._collator(trainer.data_collator.processor, modalities=list(modalities)), purpose
        )

    def _test(
        self, trainer: MerTrainer, rows: Dataset, fold: Fold, test: Dataset, folder: Path, model: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The one look at the test part; for several modalities also with each alone, by the same checkpoint.

        Returns:
            The results, and how well calibrated they are.
        """
        use_history, modalities = self.data_arguments.use_history, model.config.modalities
        logits = self._predict(trainer, test, modalities, "test")
        temperatures = row_temperatures(test, model.config, use_history)
        results = test_results(rows, fold, test, logits, self.labels, self.args.bootstrap_resamples, self.args.seed)
        if lacking := rows_without(test, modalities, use_history):
            results["rows_without"] = lacking  # and scored with what they have
            logger.warning("fold %s: test rows without %s are scored with their other inputs", fold.name, lacking)
        scaled = logits / temperatures[:, None]
        results.update(divergence_from_raters(test, scaled))
        if self.is_main:
            write_predictions(folder / "predictions.csv", test, scaled, self.labels)
        truth = np.array(column(test, "label"))
        calibration: dict[str, Any] = {"test": test_calibration(truth, logits, temperatures)}
        for name in modalities if model.config.is_multimodal else []:
            having = np.flatnonzero(has_modality(test, name, use_history))
            if not len(having):
                continue
            alone, labels = self._predict(trainer, test.select(having), [name], "test"), truth[having]
            scores = emotion_scores(labels, alone.argmax(axis=1), len(self.labels))
            results.setdefault("scores_with_one_modality", {})[name] = {**scores, "n": len(having)}
            calibrated = calibration_scores(labels, alone, model.config.temperature_of([name]))
            calibration.setdefault("test_with_one_modality", {})[name] = calibrated
        return results, calibration

    def _save(
        self,
        folder: Path,
        trainer: MerTrainer,
        weights: dict[str, Any],
        processor: MerProcessor,
        results: dict,
        parts: dict[str, Dataset],
        pretraining: Any,
    ) -> None:
        model = trainer.accelerator.unwrap_model(trainer.model)

        def write(path: Path) -> None:
            model.save_pretrained(path, state_dict=weights)
            processor.save_pretrained(path)

        if self.keep_model:
            write_atomically(building.model_folder(folder), write)
        if self.args.figures:
            saved = type(model).from_pretrained(building.model_folder(folder)).to(self.args.device)
            self._draw(folder / "figures", saved, processor, results, parts, pretraining)
        write_json(folder / "results.json", results)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # optimizer states; nothing goes on from here

    def _draw(self, folder: Path, model: Any, processor: MerProcessor, results: dict, parts: dict, pretraining: Any):
        """Draws the figures; hours of training are not lost to one that fails."""
        from hf_mer.training.fold_figures import draw_fold_figures

        try:
            draw_fold_figures(folder, model, processor, results, parts, self._collator(processor), pretraining)
        except Exception as error:
            if lacks_space(error):
                raise
            logger.exception("the figures of fold %s could not be drawn", results["fold"])


def _by_length(rows: Dataset) -> Dataset:
    """Rows from short to long, so that a batch has little padding."""
    order = sorted(range(len(rows)), key=column(rows, "length").__getitem__)
    return rows.select(order)
