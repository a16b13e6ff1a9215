"""Every row of every table in every set-up, as far as model and optimizer; a step of training for each table."""

import itertools
import json
import math
from pathlib import Path

import pytest
import soundfile
import torch
from datasets import Audio
from model_tester import (
    tiny_byte_tokenizer,
    tiny_speech_config,
    tiny_text_config,
    tiny_tokenizer,
    tiny_video_config,
    tiny_whisper_config,
    tone,
    wave_feature_extractor,
    whisper_feature_extractor,
)
from transformers import (
    AutoModel,
    EfficientNetImageProcessorPil,
    EfficientNetModel,
    Wav2Vec2ForPreTraining,
    WhisperModel,
)

from hf_mer.data.corpora.iemocap import load_iemocap
from hf_mer.reproduction.row_settings import Resolver
from hf_mer.reproduction.table import load_table, table_names
from hf_mer.training import building
from hf_mer.training.experiment import Experiment
from hf_mer.training.pretraining.arguments import SpeechEncoderArguments
from hf_mer.training.pretraining.encoder import encoder_config, load_encoder, objective_of
from hf_mer.training.pretraining.models import ContrastivePretrainer, MaskedUnitPretrainer
from hf_mer.training.trainer import MerTrainer

RECIPES = Path(__file__).parents[2] / "recipes"
TABLES, CONFIGS = RECIPES / "tables", RECIPES / "configs"
NAMES = table_names(TABLES)
DATA_DIRS = {name: f"corpora/{name}" for name in ("", "meld", "manifest", "en", "de", "pl", "zh")}
LABELS = ["angry", "happy", "neutral", "sad"]
TEXTS = ["a report, lovely and awful", "who is it, what a day"] * 4


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """By the name of every checkpoint that a settings file has: a folder with a tiny one of its kind."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("checkpoints")
    speech = tiny_speech_config(hidden_size=24, num_hidden_layers=4)  # MGCMA's twelve heads, WavFusion's deep layers
    made = {
        "bert-base-uncased": (AutoModel.from_config(tiny_text_config("bert", hidden_size=24)), tiny_tokenizer()),
        "roberta-base": (AutoModel.from_config(tiny_text_config("roberta", hidden_size=24)), tiny_byte_tokenizer()),
        "sentence-transformers/all-MiniLM-L6-v2": (
            AutoModel.from_config(tiny_text_config("bert", hidden_size=24)),
            tiny_tokenizer(),
        ),
        "openai/whisper-tiny": (WhisperModel(tiny_whisper_config()), whisper_feature_extractor()),
        "openai/whisper-tiny.en": (WhisperModel(tiny_whisper_config()), whisper_feature_extractor()),
        "facebook/wav2vec2-base": (Wav2Vec2ForPreTraining(speech), wave_feature_extractor()),
        "google/efficientnet-b0": (
            EfficientNetModel(tiny_video_config()),
            EfficientNetImageProcessorPil(size={"height": 32, "width": 32}),
        ),
    }
    for name, parts in made.items():
        for part in parts:
            part.save_pretrained(root / name)
    return {name: str(root / name) for name in made}


def every_training(folder):
    """What any row of any set-up trains, in words and in settings: each model with its optimizer and objective once."""
    found, systems = {}, set()
    for name in NAMES:
        table = load_table(name, TABLES)
        for setup in table.setups:
            resolver = Resolver(setup, DATA_DIRS, ["--use_cpu", "true"], TABLES, CONFIGS)
            for row in table.rows:
                system = resolver.system(table, row)
                if system.key in systems:
                    continue
                systems.add(system.key)
                arguments = system.arguments(folder, 1)
                if arguments.model is None or not arguments.training.do_train:  # a baseline; models of other rows
                    continue
                key = repr((arguments.model, arguments.training.learning_rates))
                found.setdefault(key, (f"{name}:{row.name}, {setup}", arguments, system.pretraining_key))
    return found.values()


def on_tiny_encoders(model, checkpoints):
    for name in ("text_encoder", "speech_encoder", "video_encoder"):
        source = getattr(model, name)
        if isinstance(source, str):
            setattr(model, name, checkpoints[source])


@pytest.mark.slow
def test_every_row_has_a_model_and_an_optimizer(checkpoints, tmp_path):
    """In one test, so that what several tables ask for is built once."""
    problems, second_stages = [], {None}
    trainings = every_training(tmp_path)
    assert len(trainings) > 80, len(trainings)
    for where, arguments, second_stage in trainings:
        on_tiny_encoders(arguments.model, checkpoints)
        try:
            experiment = Experiment(arguments.model, arguments.data, arguments.store, arguments.training)
            processor = building.build_processor(arguments.model, arguments.data, TEXTS, "fold")
            quantizer = experiment._needs_quantizer()
            model, _ = building.build_model(arguments.model, LABELS, processor, "fold", quantizer)
            groups = MerTrainer(model=model, args=arguments.training).create_optimizer().param_groups
            assert sum(len(group["params"]) for group in groups) == sum(p.requires_grad for p in model.parameters())
            if second_stage not in second_stages:
                second_stages.add(second_stage)
                optimize_second_stage(arguments)
        except ValueError as error:
            problems.append(f"{where}: {error}")
    assert not problems, "\n".join(problems)


def optimize_second_stage(arguments):
    given = arguments.model
    encoder = SpeechEncoderArguments(given.speech_encoder, given.speech_overrides, given.feature_extractor)
    objective = objective_of(encoder_config(encoder, "fold"), arguments.pretraining)
    pretrained, _ = load_encoder(encoder, arguments.pretraining, objective, "fold")
    model = (
        ContrastivePretrainer(pretrained)
        if objective == "contrastive"
        else MaskedUnitPretrainer(pretrained, arguments.pretraining.unit_clusters)
    )
    assert MerTrainer(model=model, args=arguments.pretraining).create_optimizer().param_groups


@pytest.fixture(scope="module")
def manifest(corpus, tmp_path_factory):
    """The corpus as a table with the columns of RAVDESS's."""
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    lines = [
        f'{row["audio"]["path"]},{LABELS[row["label"]]},{row["speaker"]},"{row["text"]}"'
        for row in load_iemocap(corpus).cast_column("audio", Audio(decode=False))
    ]
    path.write_text("\n".join(["file,emotion,speaker,text", *lines]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def paired(manifest):
    """The same table with a split."""
    header, *lines = manifest.read_text(encoding="utf-8").splitlines()
    splits = ["train"] * 6 + ["validation", "test"]
    path = manifest.with_name("fold_1.csv")
    rows = [f"{line},{splits[i // len(LABELS) % len(splits)]}" for i, line in enumerate(lines)]
    path.write_text("\n".join([f"{header},split", *rows]), encoding="utf-8")
    return path.with_name("fold_{seed}.csv")


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    """Every actor, emotion, intensity and sentence of the release once; of neutral there is no strong intensity."""
    root = tmp_path_factory.mktemp("ravdess")
    for actor in range(1, 25):
        folder = root / f"Actor_{actor:02}"
        folder.mkdir()
        for emotion, intensity, sentence in itertools.product(range(1, 9), (1, 2), (1, 2)):
            if (emotion, intensity) != (1, 2):
                name = f"03-01-{emotion:02}-{intensity:02}-{sentence:02}-01-{actor:02}.wav"
                soundfile.write(folder / name, tone(0.2, pitch=100.0 * emotion + actor), 16000)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_step_of_training(name, main, corpus, films, manifest, paired, ravdess, checkpoints, tmp_path):
    """The last row of every table that is trained, in the set-up that starts from nothing."""
    table = load_table(name, TABLES)
    setup = "generated" if "generated" in table.setups else next(iter(table.setups))
    trained = [row.name for row in table.rows if "checkpoint" not in row.uses and "unimodal_text" not in row.uses]
    corpora = {"meld": films, "manifest": manifest, **dict.fromkeys(("en", "de", "pl", "zh", "generated"), corpus)}
    given = [manifest] if setup == "ravdess" else [f"{key}={value}" for key, value in corpora.items()]
    encoders = []
    if setup == "frozen":  # there is none from nothing
        given = [paired if name == "le_mer/paired" else ravdess]
        encoders = ["--speech_encoder", checkpoints["openai/whisper-tiny.en"]]
        encoders += ["--text_encoder", checkpoints["sentence-transformers/all-MiniLM-L6-v2"]]
    main(
        "--table", name, "--corpus", setup, "--data_dir", *map(str, given), "--seeds", "1", "--folds", "one_per_seed",
        "--tables_folder", str(TABLES), "--configs_folder", str(CONFIGS), "--output_dir", str(tmp_path),
        "--only", f"{name}:{trained[-1]}/1/*", "--max_steps", "1", "--disable_tqdm", "true", *encoders,
        script="reproduce",
    )  # fmt: skip
    (results,) = tmp_path.glob("runs/*/seed1/*/results.json")
    losses = [entry["loss"] for entry in json.loads(results.read_text())["history"] if "loss" in entry]
    assert len(losses) == 1
    assert math.isfinite(losses[0])
