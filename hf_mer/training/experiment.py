"""A whole experiment: corpus, folds, and for every fold label store, training, one test, results and figures."""

import copy
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, set_seed

from hf_mer.data.checks import check_audio, check_labels, check_text
from hf_mer.data.collator import MerDataCollator
from hf_mer.data.folds import Fold, find_fold, select_fold, split_hash
from hf_mer.data.iemocap import load_iemocap
from hf_mer.data.manifest import load_corpus
from hf_mer.data.protocols import make_folds
from hf_mer.data.schema import column
from hf_mer.metrics import aggregate, compute_metrics_for_trainer, emotion_scores
from hf_mer.models import LabelEmbeddingStore, MerProcessor
from hf_mer.training import building, evaluation
from hf_mer.training.arguments import DataArguments, MerTrainingArguments, ModelArguments
from hf_mer.training.features import add_lengths, cache_features
from hf_mer.training.files import last_complete_checkpoint, write_atomically, write_json
from hf_mer.training.label_store_builder import LabelStoreArguments, build_label_store
from hf_mer.training.trainer import MerTrainer

logger = logging.getLogger(__name__)


def load_rows(arguments: DataArguments, modalities: list[str]) -> Dataset:
    """The corpus, checked: every recording is decoded once before anything is trained.

    Raises:
        CorpusError: If the corpus is not what it should be; all bad rows in one message.
    """
    if arguments.corpus == "iemocap":
        rows = load_iemocap(arguments.data_dir, arguments.task, max_history=arguments.max_history)
    else:
        rows = load_corpus(
            arguments.data_dir, columns=arguments.columns, labels=arguments.labels, max_history=arguments.max_history
        )
    if "speech" in modalities:
        rows = check_audio(
            rows, on_bad=arguments.on_bad_audio, max_duration=arguments.max_audio_seconds, num_proc=arguments.num_proc
        )
    if "text" in modalities:
        check_text(rows)
    return rows


class Experiment:
    """Runs one system over the folds of a corpus; finished folds are kept, a half-finished one goes on from its last checkpoint.

    Everything lies in `output_dir`: `<fold>/model` (model, processor, label store), `<fold>/results.json`,
    `<fold>/predictions.csv`, `<fold>/figures`, and `results.json` with means over folds.

    Args:
        model_arguments: The system.
        data_arguments: The corpus and its folds.
        store_arguments: The label embeddings.
        training_arguments: The training.
    """

    def __init__(
        self,
        model_arguments: ModelArguments,
        data_arguments: DataArguments,
        store_arguments: LabelStoreArguments,
        training_arguments: MerTrainingArguments,
    ):
        self.model_arguments, self.data_arguments = model_arguments, data_arguments
        self.store_arguments, self.args = store_arguments, training_arguments
        self.output_dir = Path(training_arguments.output_dir)
        self.is_main = training_arguments.process_index == 0

    def run(self) -> dict[str, Any]:
        """Runs the folds that were asked for.

        Returns:
            `folds` (what is in every fold's `results.json`) and `summary` (mean, deviation and number of WA, UA and
            WF1).
        """
        with self.args.main_process_first(desc="loading the corpus"):
            rows = load_rows(self.data_arguments, self.model_arguments.modalities)
        self.labels = list(rows.features["label"].names)
        folds = make_folds(
            rows,
            self.data_arguments.protocol,
            validation=self.data_arguments.validation,
            group_column=self.data_arguments.group_column,
            num_groups=self.data_arguments.num_groups,
            test_session=self.data_arguments.test_session,
            seed=self.args.seed,
        )
        for fold in folds:
            check_labels(rows, fold.train, f"the training part of fold {fold.name}")
        chosen = folds
        if self.data_arguments.folds:
            names = {fold.name for fold in folds}
            chosen = [
                find_fold(folds, wanted if wanted in names or not wanted.isdigit() else int(wanted))
                for wanted in self.data_arguments.folds
            ]
        results = [self.run_fold(rows, fold) for fold in chosen]
        summary = aggregate([result["test"]["scores"] for result in results])
        report = {"folds": results, "summary": summary, "split_hash": split_hash(rows, folds)}
        if self.is_main:
            write_json(self.output_dir / "results.json", report)
            print(evaluation.results_table(results, summary, self.labels))
        return report

    def run_fold(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """Label store, training, one test, files; or what an earlier run left of them."""
        folder = self.output_dir / fold.name
        settings = self._settings(rows, fold)
        finished = self._finished(folder, settings)
        if finished is not None:
            return finished
        started = time.perf_counter()
        set_seed(self.args.seed)
        texts = [column(rows, "text")[i] or "" for i in fold.train]
        processor = building.build_processor(self.model_arguments, self.data_arguments, texts, fold.name)
        needs_codebook = self.store_arguments.discretizer == "codebook" and self.model_arguments.tonal_label_init in (
            None,
            "codebook",
        )
        model, pretraining = building.build_model(
            self.model_arguments,
            self.labels,
            processor,
            fold.name,
            needs_codebook and "speech" in self.model_arguments.modalities,
        )
        parts = self._parts(rows, fold, processor)
        store = self._label_store(folder, model, processor, parts["train"], pretraining, fold, settings)
        if not self.model_arguments.checkpoint and not self.model_arguments.unimodal_text:
            model.set_label_embeddings(store)
        processor.label_store = store
        trainer = self._trainer(folder, model, processor, parts)
        history = self._train(trainer, folder) if self.args.do_train else []
        results = {
            "fold": fold.name,
            "rows": {name: len(indices) for name, indices in fold.parts.items()},
            "settings": settings,
            "parameters": evaluation.parameter_counts(model),
            "test": self._test(trainer, rows, fold, parts["test"], folder, model),
            "history": history,
            "minutes": round((time.perf_counter() - started) / 60, 2),
            "peak_memory_mib": evaluation.peak_memory_mib(),
            "environment": evaluation.environment(self.args.world_size),
        }
        if self.is_main:
            self._save(folder, trainer, processor, results, parts, pretraining)
        self.args.distributed_state and self.args.distributed_state.wait_for_everyone()
        return results

    def _settings(self, rows: Dataset, fold: Fold) -> dict[str, Any]:
        """What decides a fold's result; a finished fold with other settings is not mixed with these."""
        training = {
            name: getattr(self.args, name)
            for name in (
                "seed", "learning_rate", "learning_rates", "num_train_epochs", "max_steps", "warmup_steps", "weight_decay",
                "per_device_train_batch_size", "gradient_accumulation_steps", "modality_dropout", "spec_augment", "early_stopping_patience",
                "metric_for_best_model", "train_sampling_strategy", "bf16", "fp16", "do_train", "max_grad_norm", "label_smoothing_factor",
            )
        }  # fmt: skip
        training["lr_scheduler_type"] = str(getattr(self.args.lr_scheduler_type, "value", self.args.lr_scheduler_type))
        data = asdict(self.data_arguments)
        for name in ("folds", "num_proc", "data_dir", "cache_features"):
            data.pop(name)
        settings = {
            "model": asdict(self.model_arguments),
            "data": data,
            "label_store": asdict(self.store_arguments),
            "training": training,
            "processes": self.args.world_size,
            "split_hash": split_hash(rows, [fold]),
        }
        return json.loads(json.dumps(settings, default=str))

    def _finished(self, folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
        path = folder / "results.json"
        if not path.exists() or self.args.overwrite:
            return None
        results = json.loads(path.read_text(encoding="utf-8"))
        differing = [f"{group}.{name}" for group, name in _differences(results["settings"], settings)]
        if differing:
            raise ValueError(
                f"{path} holds results of other settings ({', '.join(differing[:5])}); choose another output_dir, or --overwrite true"
            )
        logger.info("fold %s is finished: %s", folder.name, path)
        return results

    def _parts(self, rows: Dataset, fold: Fold, processor: MerProcessor) -> dict[str, Dataset]:
        """Train, validation and test rows with their lengths and cached features; the last two sorted by length."""
        modalities = self.model_arguments.modalities
        rows = add_lengths(rows, processor, modalities)
        wanted = self.data_arguments.cache_features
        if "speech" in modalities and (wanted or (wanted is None and processor.audio_input_name == "input_features")):
            with self.args.main_process_first(desc="features"):
                rows = cache_features(rows, processor, self.data_arguments.num_proc)
        parts = dict(select_fold(rows, fold))
        return {name: part if name == "train" else _by_length(part) for name, part in parts.items()}

    def _collator(
        self, processor: MerProcessor, training: bool = False, modalities: list[str] | None = None
    ) -> MerDataCollator:
        return MerDataCollator(
            processor,
            modalities or self.model_arguments.modalities,
            use_history=self.data_arguments.use_history,
            modality_dropout=self.args.modality_dropout,
            spec_augment=self.args.spec_augment,
            training=training,
        )

    def _label_store(
        self,
        folder: Path,
        model: Any,
        processor: MerProcessor,
        train: Dataset,
        pretraining: Any,
        fold: Fold,
        settings: dict,
    ) -> LabelEmbeddingStore:
        """Built by the first process and read by the others; a trained checkpoint brings its own."""
        for path in (self.model_arguments.checkpoint, self.model_arguments.unimodal_text):
            store = building.checkpoint_store(path.format(fold=fold.name)) if path else None
            if store is not None:
                return store
        path = folder / "label_store"
        key = hashlib.sha256(
            json.dumps([settings["model"], settings["data"], settings["label_store"], settings["split_hash"]]).encode()
        ).hexdigest()
        with self.args.main_process_first(desc="label store"):
            if path.exists():
                store = LabelEmbeddingStore.from_pretrained(path)
                if store.settings.get("key") == key:
                    return store
            model.to(self.args.device)
            store = build_label_store(
                model,
                processor,
                self._store_batches(train, processor, model),
                self.labels,
                self.store_arguments,
                pretraining,
                building.label_text_encoder(self.model_arguments, fold.name, processor),
                seed=self.args.seed,
                progress=not self.args.disable_tqdm,
            )
            store.settings["key"] = key
            write_atomically(path, store.save_pretrained)
        return store

    def _store_batches(self, train: Dataset, processor: MerProcessor, model: Any) -> Iterator[dict[str, Any]]:
        """Training rows in shuffled batches of like length; audio only where codes are wanted."""
        wants_audio = model.config.has_tonal_labels and model.config.tonal_label_init == "codebook"
        collator = self._collator(processor)

        def collate(batch: list[dict[str, Any]]) -> dict[str, Any]:
            features = [collator.audio_features(row) if wants_audio else None for row in batch]
            inputs = dict(processor.collate(features, [None] * len(batch), require_input=False))
            return {
                "labels": [row["label"] for row in batch],
                "texts": [row["text"] for row in batch],
                "inputs": inputs or None,
            }

        order = np.random.default_rng(self.args.seed).permutation(len(train))
        lengths = np.array(column(train, "length"))
        size, chunk = self.args.per_device_eval_batch_size, 16 * self.args.per_device_eval_batch_size
        buckets = [sorted(order[i : i + chunk], key=lambda j: lengths[j]) for i in range(0, len(order), chunk)]
        batches = [bucket[i : i + size] for bucket in buckets for i in range(0, len(bucket), size)]
        return DataLoader(
            train, batch_sampler=batches, collate_fn=collate, num_workers=self.args.dataloader_num_workers
        )

    def _trainer(self, folder: Path, model: Any, processor: MerProcessor, parts: dict[str, Dataset]) -> MerTrainer:
        args = copy.copy(self.args)
        args.output_dir = str(folder / "checkpoints")
        callbacks = []
        if "validation" in parts and args.do_train:
            args.eval_strategy = args.save_strategy = "epoch" if args.max_steps <= 0 else "steps"
            args.load_best_model_at_end, args.greater_is_better = True, True
            if args.early_stopping_patience:
                callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
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

    def _train(self, trainer: MerTrainer, folder: Path) -> list[dict[str, Any]]:
        checkpoint = last_complete_checkpoint(folder / "checkpoints")
        if checkpoint is not None:
            logger.warning("going on from %s", checkpoint)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        return trainer.state.log_history

    def _test(
        self, trainer: MerTrainer, rows: Dataset, fold: Fold, test: Dataset, folder: Path, model: Any
    ) -> dict[str, Any]:
        """The one look at the test part; for two modalities also with each alone, by the same checkpoint."""
        logits = _logits(trainer.predict(test, metric_key_prefix="test"))
        results = evaluation.test_results(
            rows, fold, test, logits, self.labels, self.args.bootstrap_resamples, self.args.seed
        )
        if self.is_main:
            evaluation.write_predictions(folder / "predictions.csv", test, logits, self.labels)
        if model.config.is_multimodal:
            whole, truth = trainer.data_collator, column(test, "label")
            for name in model.config.modalities:
                trainer.data_collator = self._collator(whole.processor, modalities=[name])
                alone = _logits(trainer.predict(test, metric_key_prefix="test")).argmax(axis=1)
                results.setdefault("scores_with_one_modality", {})[name] = emotion_scores(
                    truth, alone, len(self.labels)
                )
            trainer.data_collator = whole
        return results

    def _save(
        self,
        folder: Path,
        trainer: MerTrainer,
        processor: MerProcessor,
        results: dict,
        parts: dict[str, Dataset],
        pretraining: Any,
    ) -> None:
        model = trainer.accelerator.unwrap_model(trainer.model)

        def write(path: Path) -> None:
            model.save_pretrained(path)
            processor.save_pretrained(path)

        write_atomically(building.model_folder(folder), write)
        if self.args.figures:
            from hf_mer.training.figures import draw_fold_figures

            draw_fold_figures(
                folder / "figures", model, processor, results, parts, self._collator(processor), pretraining
            )
        write_json(folder / "results.json", results)


def _by_length(rows: Dataset) -> Dataset:
    """Rows from short to long, so that a batch has little padding."""
    order = sorted(range(len(rows)), key=column(rows, "length").__getitem__)
    return rows.select(order)


def _logits(output: Any) -> np.ndarray:
    predictions = output.predictions
    return np.asarray(predictions[0] if isinstance(predictions, tuple) else predictions, dtype=np.float64)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for group in new:
        if not isinstance(new[group], dict):
            if old.get(group) != new[group]:
                found.append((group, ""))
            continue
        found += [(group, name) for name in new[group] if old.get(group, {}).get(name) != new[group][name]]
    return found
