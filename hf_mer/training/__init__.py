"""Training with `Trainer` and Accelerate; names are loaded when they are first used."""

from hf_mer.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "hf_mer.training.trainer": ("MerTrainer",),
        "hf_mer.training.settings.arguments": ("MerTrainingArguments", "DataArguments"),
        "hf_mer.training.settings.parsing": ("parse_arguments",),
        "hf_mer.training.settings.label_store_arguments": ("LabelStoreArguments",),
        "hf_mer.training.settings.model_arguments": (
            "ModelArguments",
            "LeMerArguments",
            "MgcmaArguments",
            "WavFusionArguments",
        ),
        "hf_mer.training.recipe": ("run_recipe", "run_baseline"),
        "hf_mer.training.baselines.baseline_experiment": ("BaselineExperiment",),
        "hf_mer.reproduction.reproduce": ("run_reproduction",),
        "hf_mer.reproduction.table": ("load_table",),
        "hf_mer.training.label_store.builder": ("build_label_store",),
        "hf_mer.training.experiment": ("Experiment",),
        "hf_mer.training.cross_validation": ("CrossValidation", "cross_validate"),
        "hf_mer.training.pretraining.arguments": ("PretrainingArguments",),
        "hf_mer.training.pretraining.fold": ("pretrain_fold",),
        "hf_mer.training.selection": ("select_candidate", "grid_candidates"),
    },
)
