"""The recipes as people run them: real processes on small generated corpora."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from model_tester import (
    tiny_speech_config,
    tiny_text_config,
    tiny_tokenizer,
    tiny_video_config,
    wave_feature_extractor,
)

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "recipes" / "benchmarks"


@pytest.fixture(scope="session")
def corpus(shared_folder):
    """Root of a generated corpus of 48 short utterances in IEMOCAP's tree."""
    from hf_mer.data.generated.generate import GeneratedCorpusConfig, generate_corpus

    config = GeneratedCorpusConfig(
        num_utterances=48, sessions=3, words_per_utterance=(4, 5), salient_words=(1, 1), utterances_per_dialogue=6
    )
    return shared_folder("48_utterances", lambda root: generate_corpus(root, config, progress=False))


@pytest.fixture(scope="session")
def films(shared_folder):
    """Root of a generated corpus of 40 short clips in MELD's layout."""
    from hf_mer.data.generated.generate import GeneratedMeldConfig, generate_meld_corpus

    config = GeneratedMeldConfig(num_train=24, num_dev=8, num_test=8, utterances_per_dialogue=4)
    return shared_folder("40_clips", lambda root: generate_meld_corpus(root, config, progress=False))


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Folders of a tiny pretrained BERT, a tiny wav2vec 2.0 with its quantizer, and a tiny EfficientNet."""
    import torch
    from transformers import BertModel, EfficientNetImageProcessorPil, EfficientNetModel, Wav2Vec2ForPreTraining

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("encoders")
    BertModel(tiny_text_config("bert")).save_pretrained(root / "bert")
    tiny_tokenizer().save_pretrained(root / "bert")
    convolutions = {"conv_kernel": [20, 16], "conv_stride": [20, 16]}  # 20 ms a frame
    Wav2Vec2ForPreTraining(tiny_speech_config("wav2vec2", **convolutions)).save_pretrained(root / "wav2vec2")
    wave_feature_extractor().save_pretrained(root / "wav2vec2")
    EfficientNetModel(tiny_video_config()).save_pretrained(root / "efficientnet")
    EfficientNetImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(root / "efficientnet")
    return {
        "text_encoder": str(root / "bert"),
        "speech_encoder": str(root / "wav2vec2"),
        "video_encoder": str(root / "efficientnet"),
    }


SYSTEMS = {
    "le_mer": {
        "tonal_space": "contrastive",
        "discretizer": "codebook",
        "tonal_top_k": 4,
        "text_top_k": 3,
        "min_word_count": 1,
        "learning_rates": {"text_encoder": 1e-4, "speech_encoder": 1e-4},
    },
    "mgcma": {"num_attention_heads": 2, "num_token_blocks": 1},
    "wavfusion": {"num_deep_layers": 1, "auxiliary_heads": 2, "video_dim": 8, "lvc_codewords": 4, "shared_dim": 8},
}


@pytest.fixture
def config(corpus, encoders, tmp_path):
    """`config("le_mer", fusion="sum", ...)`: path of a YAML file of complete settings, the paper's on tiny encoders."""

    def write(system="le_mer", **settings):
        content = {
            **encoders,
            "data_dir": str(corpus),
            "output_dir": str(tmp_path / "run"),
            "protocol": "fixed_session",
            "validation": "speakers:1",
            "max_text_tokens": 48,
            "max_audio_seconds": 1.0,
            "learning_rate": 0.001,
            "learning_rates": {},
            "lr_scheduler_type": "constant",
            "warmup_steps": 0,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4,
            "early_stopping_patience": None,
            "seed": 1,
            "use_cpu": True,
            "figures": False,
            "bootstrap_resamples": 20,
            "disable_tqdm": True,
            **SYSTEMS[system],
            **settings,
        }
        path = tmp_path / "settings.yaml"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return write


@pytest.fixture
def environment(tmp_path_factory):
    """Of the processes: this checkout, one thread, no network, a datasets cache of their own."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "HF_DATASETS_CACHE": str(tmp_path_factory.getbasetemp() / "recipes_cache"),
        "TOKENIZERS_PARALLELISM": "false",
    }


@pytest.fixture
def start(environment):
    """`start("--config", path, processes=2)`: a recipe in a process group of its own, output as text."""
    running = []

    def begin(
        *arguments: str, processes: int = 1, system: str = "le_mer", script: str | None = None
    ) -> subprocess.Popen:
        recipe = str(ROOT / "recipes" / f"{script or f'train_{system}'}.py")
        launcher = ["-m", "accelerate.commands.launch", "--config_file", str(ROOT / "recipes/accelerate/cpu_two.yaml")]
        command = [sys.executable, *(launcher if processes > 1 else []), recipe, *arguments]
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()


@pytest.fixture
def recipe(start):
    """`recipe("--config", path)`: runs it to its end; exit status and output."""

    def run(*arguments: str, processes: int = 1, system: str = "le_mer", script: str | None = None) -> tuple[int, str]:
        process = start(*arguments, processes=processes, system=system, script=script)
        output = process.communicate(timeout=300)[0]
        return process.returncode, output

    return run


@pytest.fixture
def main(monkeypatch, tmp_path_factory):
    """`main("--config", path)`: the recipe's `main` in this process, which starts faster than a new one."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.getbasetemp() / "recipes_cache"))

    def run(*arguments: str, system: str = "le_mer", script: str | None = None) -> None:
        name = script or f"train_{system}"
        spec = importlib.util.spec_from_file_location(name, ROOT / "recipes" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        module.main()

    return run


@pytest.fixture
def benchmark(monkeypatch, tmp_path, capsys):
    """`benchmark("step_time", "--size tiny")` gives its result, its JSON file and its output."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def run(name: str, flags: str = "", extra: tuple[str, ...] = ()) -> tuple[dict, dict, str]:
        path = tmp_path / "result.json"
        result = importlib.import_module(name).main([*flags.split(), *extra, "--json", str(path)])
        return result, json.loads(path.read_text()), capsys.readouterr().out

    yield run
    for name in ("measuring", *(path.stem for path in BENCHMARKS.glob("*.py"))):
        sys.modules.pop(name, None)
