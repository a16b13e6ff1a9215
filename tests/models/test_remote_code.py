"""A saved folder loads where the package is not installed, and asks for no trust where it is.

The checks run in processes of their own with an empty cache, several checkpoints to a process, since starting one takes
longer than all that is asked of it; without the package none can import it from anywhere.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
import torch
from media_files import image_processor, save_film_checkpoint, write_clip
from model_tester import (
    feature_extractor_for,
    make_batch,
    save_tiny_checkpoint,
    tiny_settings,
    tiny_tokenizer,
    tiny_video_config,
    tone,
    wave_feature_extractor,
)
from safetensors.torch import save_file
from transformers import AutoModel, pipeline

from hf_mer.models import (
    PIPELINE_TASK,
    MerProcessor,
    MgcmaConfig,
    MgcmaForEmotionClassification,
    WavFusionConfig,
    WavFusionForEmotionClassification,
)

ROOT = Path(__file__).parents[2]
WITHOUT_PACKAGE = """
import sys
sys.modules["hf_mer"] = None
trust = {"trust_remote_code": True}
"""
WITH_PACKAGE = """
import hf_mer.models
trust = {}
"""
WITHOUT_TORCHVISION = """
sys.modules["torchvision"] = None
"""
COMMON = """
import json, os, sys
import torch
from safetensors.torch import load_file
results = {}
"""
CASE = """
name, folder, recording, batch_file, out = {arguments}
batch = load_file(batch_file)
out = os.path.abspath(out)  # in the folder of this process
results[name] = result = {{"out": out}}
"""
LOADS = """
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, AutoProcessor, pipeline
config = AutoConfig.from_pretrained(folder, **trust)
result["config"] = type(config).__name__, config.fusion, type(config).__module__.split(".")[0]
processor = AutoProcessor.from_pretrained(folder, **trust)
result["processor"] = type(processor).__name__, processor.label_store.labels, processor.max_text_tokens
for auto in (AutoModel, AutoModelForAudioClassification):
    model = auto.from_pretrained(folder, **trust)
    result[auto.__name__] = model(**batch).logits.tolist()
"""
PIPELINE = """
recognise = pipeline("multimodal-emotion-recognition", model=folder, **trust)
result["pipeline"] = recognise(recording, text="so glad", history=["who is it ?"])
explained = recognise(recording, text="so glad", explain={"budget": 100})["explanation"]
result["explained"] = [*explained["modalities"].values(), *(word["value"] for word in explained["words"])]
result["pipeline_class"] = type(recognise).__name__, type(recognise).__module__.split(".")[0]
"""
RESAVE = """
model.save_pretrained(out)
processor.save_pretrained(out)
result["files"] = sorted(p.name for p in __import__("pathlib").Path(out).iterdir())
"""
BARE_NAMES = """
from safetensors.torch import save_file
weights = load_file(f"{out}/model.safetensors")
once = {name.replace("label_embeddings.weight", "label_embeddings"): tensor for name, tensor in weights.items()}
save_file(once, f"{out}/model.safetensors", metadata={"format": "pt"})
result["once"] = AutoModel.from_pretrained(out, **trust)(**batch).logits.tolist()
result["renamed"] = once.keys() != weights.keys()
save_file(weights, f"{out}/model.safetensors", metadata={"format": "pt"})
"""
WAVFUSION = """
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, AutoProcessor, pipeline
config = AutoConfig.from_pretrained(folder, **trust)
result["config"] = type(config).__name__, config.num_deep_layers, type(config).__module__.split(".")[0]
for auto in (AutoModel, AutoModelForAudioClassification):
    model = auto.from_pretrained(folder, **trust)
    result[auto.__name__] = model(**batch).logits.tolist()
processor = AutoProcessor.from_pretrained(folder, **trust)
inputs = processor(audio=recording, text="so glad", video=recording)
result["processed"] = model(**inputs).logits.softmax(-1)[0].tolist()
recognise = pipeline("multimodal-emotion-recognition", model=folder, **trust)
scores = recognise({"video": recording, "text": "so glad"})
result["pipeline"] = [{item["label"]: item["score"] for item in scores}[name] for name in config.id2label.values()]
model.save_pretrained(out)
processor.save_pretrained(out)
"""


FILM = """
from transformers import AutoProcessor, pipeline
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
result["processor"] = type(processor).__name__, type(processor.image_processor).__name__, processor.num_frames
result["inputs"] = sorted(processor(video=recording, audio=recording, text="so glad"))
recognise = pipeline("multimodal-emotion-recognition", model=folder, trust_remote_code=True)
result["scores"] = {item["label"]: item["score"] for item in recognise(recording, text="so glad")}
processor.save_pretrained(out)
result["again"] = AutoProcessor.from_pretrained(out, trust_remote_code=True).image_processor.size["height"]
"""


MGCMA = """
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, pipeline
config = AutoConfig.from_pretrained(folder, **trust)
result["config"] = type(config).__name__, config.alignment_order, type(config).__module__.split(".")[0]
for auto in (AutoModel, AutoModelForAudioClassification):
    result[auto.__name__] = auto.from_pretrained(folder, **trust)(**batch).logits.tolist()
recognise = pipeline("multimodal-emotion-recognition", model=folder, **trust)
result["pipeline"] = recognise(recording, text="so glad"), recognise(recording), recognise({"text": "so glad"})
"""


PRINT = """
print("RESULT" + json.dumps(results))
"""


@dataclass
class Saved:
    """A checkpoint, a recording or film for it, and a batch in a file with the model's logits."""

    name: str
    folder: Path
    recording: Path
    batch: Path
    logits: list

    def case(self, code, folder=None, name=None):
        """A piece of a program about this checkpoint, or about a folder that was saved from it."""
        given = name or self.name, folder or self.folder, self.recording, self.batch, f"{self.name}-resaved"
        return CASE.format(arguments=repr([str(one) for one in given])) + code


def run(folder, *code, python_path=""):
    """Results by name of a program, in a process with an empty cache."""
    environment = {
        **os.environ,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": python_path,
        "OMP_NUM_THREADS": "1",
    }
    for name in ("HF_MODULES_CACHE", "HF_HUB_CACHE", "TRANSFORMERS_CACHE"):
        environment.pop(name, None)
    command = [sys.executable, "-c", "".join([*code, PRINT])]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("RESULT")[-1])


def save_wavfusion(folder):
    settings = {"video_config": tiny_video_config(), "num_deep_layers": 1, "auxiliary_heads": 2, "video_dim": 8}
    WavFusionForEmotionClassification(WavFusionConfig(**{**tiny_settings(), **settings})).save_pretrained(folder)
    extractors = wave_feature_extractor(), tiny_tokenizer()
    MerProcessor(*extractors, image_processor=image_processor(), num_frames=4).save_pretrained(folder)


def save_mgcma(folder):
    settings = {"num_attention_heads": 2, "num_token_blocks": 1, "alignment_order": ["token", "distribution"]}
    settings["speech_layers"] = "mix"
    MgcmaForEmotionClassification(MgcmaConfig(**{**tiny_settings("whisper"), **settings})).save_pretrained(folder)
    MerProcessor(feature_extractor_for("whisper"), tiny_tokenizer()).save_pretrained(folder)


MAKERS = {
    "le_mer": save_tiny_checkpoint, "wavfusion": save_wavfusion, "mgcma": save_mgcma, "film": save_film_checkpoint,
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """`saved["mgcma"]`: each kind of checkpoint."""
    root = tmp_path_factory.mktemp("saved")
    soundfile.write(root / "speech.wav", tone(), 16000)
    write_clip(root / "clip.mp4")
    made = {}
    for name, save in MAKERS.items():
        torch.manual_seed(0)
        save(root / name)
        model = AutoModel.from_pretrained(root / name)
        batch = make_batch(model.config)
        save_file(batch, str(root / f"{name}.safetensors"))
        recording = root / ("clip.mp4" if model.config.model_type == "wavfusion" else "speech.wav")
        logits = model(**batch).logits.tolist()
        made[name] = Saved(name, root / name, recording, root / f"{name}.safetensors", logits)
    return made


@pytest.fixture(scope="module")
def without_package(saved, tmp_path_factory):
    """From the folders alone; what the first process saves, before using a pipeline, is loaded by the second."""
    le_mer = saved["le_mer"]
    first = run(
        tmp_path_factory.mktemp("first"), WITHOUT_PACKAGE, COMMON,
        le_mer.case(LOADS + RESAVE + BARE_NAMES + PIPELINE), saved["wavfusion"].case(WAVFUSION),
    )  # fmt: skip
    second = run(
        tmp_path_factory.mktemp("second"), WITHOUT_PACKAGE, WITHOUT_TORCHVISION, COMMON,
        le_mer.case(LOADS + PIPELINE, first["le_mer"]["out"], "again"), saved["mgcma"].case(MGCMA), saved["film"].case(FILM),
    )  # fmt: skip
    return {**first, **second}


@pytest.fixture(scope="module")
def with_package(saved, tmp_path_factory):
    """By the installed package, which is asked for no trust."""
    cases = {"le_mer": LOADS + RESAVE + PIPELINE, "wavfusion": WAVFUSION, "mgcma": MGCMA}
    folder = tmp_path_factory.mktemp("with_package")
    return run(
        folder, WITH_PACKAGE, COMMON, *(saved[name].case(code) for name, code in cases.items()), python_path=str(ROOT)
    )


def close(result, logits):
    for name in ("AutoModel", "AutoModelForAudioClassification"):
        for row, expected in zip(result[name], logits, strict=True):
            assert row == pytest.approx(expected, abs=1e-5)


def test_code_travels_with_the_folder(saved):
    names = {path.name for path in saved["le_mer"].folder.iterdir()}
    code = {
        "configuration_le_mer.py", "modeling_le_mer.py", "modeling_mer.py", "mer_layers.py", "mer_losses.py",
        "mer_outputs.py", "label_store.py", "processing_mer.py", "pipeline_mer.py", "audio_mer.py",
        "video_mer.py", "image_mer.py", "audio_blocks_mer.py", "batching_mer.py", "dialogue_mer.py",
        "label_attention_mer.py", "long_recordings_mer.py", "results_mer.py", "speech_recognition_mer.py",
        "utterances_mer.py", "resampling_mer.py", "explain_mer.py", "coalitions_mer.py", "places_mer.py",
        "shapley_mer.py", "explain_settings_mer.py",
    }  # fmt: skip
    assert code <= names
    assert {"model.safetensors", "label_store.json", "label_store.safetensors", "tokenizer.json"} <= names
    config = json.loads((saved["le_mer"].folder / "config.json").read_text())
    assert set(config["auto_map"]) == {"AutoConfig", "AutoModel", "AutoModelForAudioClassification"}


def test_without_the_package(saved, without_package):
    """Loads from the folder alone; what it saves again loads too, in another process with a cache of its own."""
    first, second = without_package["le_mer"], without_package["again"]
    logits = saved["le_mer"].logits
    close(first, logits)
    assert first["renamed"]
    close({"AutoModel": first["once"], "AutoModelForAudioClassification": first["once"]}, logits)
    assert first["config"] == ["LeMerConfig", "constraint", "transformers_modules"]
    assert first["processor"] == ["MerProcessor", ["angry", "happy", "neutral", "sad"], 40]
    assert first["pipeline_class"] == ["MultimodalEmotionRecognitionPipeline", "transformers_modules"]
    assert sum(item["score"] for item in first["pipeline"]) == pytest.approx(1, abs=1e-4)
    close(second, logits)
    assert second["pipeline"] == first["pipeline"]
    assert len(first["explained"]) == 4
    assert second["explained"] == first["explained"]
    assert set(first["files"]) == {path.name for path in saved["le_mer"].folder.iterdir()}


@pytest.mark.slow
def test_with_the_package_no_trust_is_asked(saved, with_package):
    result = with_package["le_mer"]
    close(result, saved["le_mer"].logits)
    assert result["config"] == ["LeMerConfig", "constraint", "hf_mer"]
    assert result["pipeline_class"] == ["MultimodalEmotionRecognitionPipeline", "hf_mer"]
    assert "custom_pipelines" in json.loads(Path(result["out"], "config.json").read_text())


@pytest.fixture(params=["without_package", "with_package"])
def either(request):
    """Results, and the package that the code comes from."""
    package = "hf_mer" if request.param == "with_package" else "transformers_modules"
    return request.getfixturevalue(request.param), package


def test_wavfusion(saved, either):
    """Three modalities, from a folder alone: model, processor with pictures, and the pipeline on a film."""
    results, package = either
    result, folder = results["wavfusion"], saved["wavfusion"].folder
    code = {"configuration_wavfusion.py", "configuration_mer.py", "modeling_wavfusion.py", "wavfusion_layers.py"}
    assert code <= {path.name for path in folder.iterdir()}
    close(result, saved["wavfusion"].logits)
    assert result["config"] == ["WavFusionConfig", 1, package]
    assert result["pipeline"] == pytest.approx(result["processed"], abs=1e-4)
    assert {path.name for path in Path(result["out"]).iterdir()} == {path.name for path in folder.iterdir()}


def test_a_model_with_video_without_the_package(saved, without_package):
    """Nor is torchvision there, which the image processors of transformers would prefer."""
    result, film = without_package["film"], saved["film"]
    assert result["processor"] == ["MerProcessor", "EfficientNetImageProcessorPil", 4]
    assert {"pixel_values", "video_attention_mask", "input_values"} <= set(result["inputs"])
    expected = pipeline(PIPELINE_TASK, model=str(film.folder))(str(film.recording), text="so glad")
    assert result["scores"] == pytest.approx({item["label"]: item["score"] for item in expected}, abs=1e-4)
    assert result["again"] == 16


def test_mgcma(saved, either):
    """Model and pipeline from a folder alone, with each modality missing too; on Whisper's encoder."""
    results, package = either
    result, folder = results["mgcma"], saved["mgcma"].folder
    code = {"configuration_mgcma.py", "mgcma_layers.py", "mer_distributed.py", "whisper_mer.py"}
    assert code <= {path.name for path in folder.iterdir()}
    close(result, saved["mgcma"].logits)
    assert result["config"] == ["MgcmaConfig", ["token", "distribution"], package]
    both, speech, text = result["pipeline"]
    assert both != speech != text != both
