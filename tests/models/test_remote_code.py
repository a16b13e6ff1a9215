"""A saved folder loads where the package is not installed, and asks for no trust where it is.

Every check runs in a process of its own with an empty cache; without the package none can import it from anywhere.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from media_files import image_processor, save_film_checkpoint
from model_tester import (
    make_batch,
    tiny_settings,
    tiny_tokenizer,
    tiny_video_config,
    tone,
    wave_feature_extractor,
)
from safetensors.torch import save_file
from transformers import pipeline

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
"""
COMMON = """
import json, sys
import torch
from safetensors.torch import load_file
folder, wav, batch_file, out = sys.argv[1:5]
batch = load_file(batch_file)
result = {}
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
result["pipeline"] = recognise(wav, text="so glad", history=["who is it ?"])
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
PRINT = """
print("RESULT" + json.dumps(result))
"""


def run(code, tmp_path, *arguments, python_path=""):
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": python_path,
        "OMP_NUM_THREADS": "1",
    }
    for name in ("HF_MODULES_CACHE", "HF_HUB_CACHE", "TRANSFORMERS_CACHE"):
        environment.pop(name, None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("RESULT")[-1])


@pytest.fixture
def saved(tiny_checkpoint, tmp_path):
    """Folder, model, and the arguments of `run`."""
    folder, model = tiny_checkpoint()
    soundfile.write(tmp_path / "speech.wav", tone(), 16000)
    batch = make_batch(model.config)
    save_file(batch, str(tmp_path / "batch.safetensors"))
    logits = model(**batch).logits.tolist()
    return folder, logits, (tmp_path / "speech.wav", tmp_path / "batch.safetensors", tmp_path / "resaved")


def close(result, logits):
    for name in ("AutoModel", "AutoModelForAudioClassification"):
        for row, expected in zip(result[name], logits, strict=True):
            assert row == pytest.approx(expected, abs=1e-5)


def test_code_travels_with_the_folder(saved):
    names = {path.name for path in Path(saved[0]).iterdir()}
    code = {
        "configuration_le_mer.py", "modeling_le_mer.py", "modeling_mer.py", "mer_layers.py", "mer_losses.py",
        "mer_outputs.py", "label_store.py", "processing_mer.py", "pipeline_mer.py", "audio_mer.py",
        "video_mer.py", "image_mer.py", "audio_blocks_mer.py", "batching_mer.py", "dialogue_mer.py",
        "explanations_mer.py", "long_recordings_mer.py", "results_mer.py", "speech_recognition_mer.py",
        "utterances_mer.py", "resampling_mer.py",
    }  # fmt: skip
    assert code <= names
    assert {"model.safetensors", "label_store.json", "label_store.safetensors", "tokenizer.json"} <= names
    config = json.loads(Path(saved[0], "config.json").read_text())
    assert set(config["auto_map"]) == {"AutoConfig", "AutoModel", "AutoModelForAudioClassification"}


def test_without_the_package(saved, tmp_path):
    """Loads from the folder alone; what it saves again, before using a pipeline, loads too, in another process."""
    folder, logits, rest = saved
    trusting = 'trust = {"trust_remote_code": True}\n'
    first = run(
        WITHOUT_PACKAGE + COMMON + trusting + LOADS + RESAVE + BARE_NAMES + PIPELINE + PRINT, tmp_path, folder, *rest
    )
    close(first, logits)
    assert first["renamed"]
    close({"AutoModel": first["once"], "AutoModelForAudioClassification": first["once"]}, logits)
    assert first["config"] == ["LeMerConfig", "constraint", "transformers_modules"]
    assert first["processor"] == ["MerProcessor", ["angry", "happy", "neutral", "sad"], 40]
    assert first["pipeline_class"] == ["MultimodalEmotionRecognitionPipeline", "transformers_modules"]
    assert sum(item["score"] for item in first["pipeline"]) == pytest.approx(1, abs=1e-4)

    (tmp_path / "home").rename(tmp_path / "first_home")  # the second process starts with nothing either
    second = run(WITHOUT_PACKAGE + COMMON + trusting + LOADS + PIPELINE + PRINT, tmp_path, rest[-1], *rest)
    close(second, logits)
    assert second["pipeline"] == first["pipeline"]
    assert set(first["files"]) == {path.name for path in Path(folder).iterdir()}


def test_with_the_package_no_trust_is_asked(saved, tmp_path):
    folder, logits, rest = saved
    code = "import hf_mer.models\n" + COMMON + "trust = {}\n" + LOADS + RESAVE + PIPELINE + PRINT
    result = run(code, tmp_path, folder, *rest, python_path=str(ROOT))
    close(result, logits)
    assert result["config"] == ["LeMerConfig", "constraint", "hf_mer"]
    assert result["pipeline_class"] == ["MultimodalEmotionRecognitionPipeline", "hf_mer"]
    assert "custom_pipelines" in json.loads(Path(rest[-1], "config.json").read_text())


WAVFUSION = """
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, AutoProcessor, pipeline
config = AutoConfig.from_pretrained(folder, **trust)
result["config"] = type(config).__name__, config.num_deep_layers, type(config).__module__.split(".")[0]
for auto in (AutoModel, AutoModelForAudioClassification):
    model = auto.from_pretrained(folder, **trust)
    result[auto.__name__] = model(**batch).logits.tolist()
processor = AutoProcessor.from_pretrained(folder, **trust)
inputs = processor(audio=wav, text="so glad", video=wav)
result["processed"] = model(**inputs).logits.softmax(-1)[0].tolist()
recognise = pipeline("multimodal-emotion-recognition", model=folder, **trust)
scores = recognise({"video": wav, "text": "so glad"})
result["pipeline"] = [{item["label"]: item["score"] for item in scores}[name] for name in config.id2label.values()]
model.save_pretrained(out)
processor.save_pretrained(out)
"""


@pytest.mark.parametrize("with_package", [False, True])
def test_wavfusion(with_package, tmp_path, write_video):
    """Three modalities, from a folder alone: model, processor with pictures, and the pipeline on a film."""
    torch.manual_seed(0)
    settings = {"video_config": tiny_video_config(), "num_deep_layers": 1, "auxiliary_heads": 2, "video_dim": 8}
    model = WavFusionForEmotionClassification(WavFusionConfig(**{**tiny_settings(), **settings})).eval()
    folder = tmp_path / "wavfusion"
    model.save_pretrained(folder)
    extractors = wave_feature_extractor(), tiny_tokenizer()
    MerProcessor(*extractors, image_processor=image_processor(), num_frames=4).save_pretrained(folder)
    code = {"configuration_wavfusion.py", "configuration_mer.py", "modeling_wavfusion.py", "wavfusion_layers.py"}
    assert code <= {path.name for path in folder.iterdir()}
    batch = make_batch(model.config)
    save_file(batch, str(tmp_path / "batch.safetensors"))
    rest = (write_video(), tmp_path / "batch.safetensors", tmp_path / "resaved")
    trust = {"trust_remote_code": True} if not with_package else {}
    start = "import hf_mer.models\n" if with_package else WITHOUT_PACKAGE
    python_path = str(ROOT) if with_package else ""
    program = start + COMMON + f"trust = {trust}\n" + WAVFUSION + PRINT
    first = run(program, tmp_path, folder, *rest, python_path=python_path)
    close(first, model(**batch).logits.tolist())
    assert first["config"] == ["WavFusionConfig", 1, "hf_mer" if with_package else "transformers_modules"]
    assert first["pipeline"] == pytest.approx(first["processed"], abs=1e-4)
    assert {path.name for path in rest[-1].iterdir()} == {path.name for path in folder.iterdir()}


FILM = """
from transformers import AutoProcessor, pipeline
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
result["processor"] = type(processor).__name__, type(processor.image_processor).__name__, processor.num_frames
result["inputs"] = sorted(processor(video=film, audio=film, text="so glad"))
recognise = pipeline("multimodal-emotion-recognition", model=folder, trust_remote_code=True)
result["scores"] = {item["label"]: item["score"] for item in recognise(film, text="so glad")}
processor.save_pretrained(out)
result["again"] = AutoProcessor.from_pretrained(out, trust_remote_code=True).image_processor.size["height"]
"""


def test_a_model_with_video_without_the_package(tmp_path, write_video):
    """Nor is torchvision there, which the image processors of transformers would prefer."""
    folder, film = save_film_checkpoint(tmp_path / "films"), write_video()
    head = "import sys, json\nsys.modules['hf_mer'] = None\nsys.modules['torchvision'] = None\n"
    head += "folder, film, out = sys.argv[1:4]\nresult = {}\n"
    result = run(head + FILM + PRINT, tmp_path, folder, film, tmp_path / "resaved")
    assert result["processor"] == ["MerProcessor", "EfficientNetImageProcessorPil", 4]
    assert {"pixel_values", "video_attention_mask", "input_values"} <= set(result["inputs"])
    expected = pipeline(PIPELINE_TASK, model=folder)(film, text="so glad")
    assert result["scores"] == pytest.approx({item["label"]: item["score"] for item in expected}, abs=1e-4)
    assert result["again"] == 16


MGCMA = """
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, pipeline
config = AutoConfig.from_pretrained(folder, **trust)
result["config"] = type(config).__name__, config.alignment_order, type(config).__module__.split(".")[0]
for auto in (AutoModel, AutoModelForAudioClassification):
    result[auto.__name__] = auto.from_pretrained(folder, **trust)(**batch).logits.tolist()
recognise = pipeline("multimodal-emotion-recognition", model=folder, **trust)
result["pipeline"] = recognise(wav, text="so glad"), recognise(wav), recognise({"text": "so glad"})
"""


@pytest.mark.parametrize("with_package", [False, True])
def test_mgcma(with_package, tmp_path):
    """Model and pipeline from a folder alone, with each modality missing too."""
    torch.manual_seed(0)
    settings = {"num_attention_heads": 2, "num_token_blocks": 1, "alignment_order": ["token", "distribution"]}
    model = MgcmaForEmotionClassification(MgcmaConfig(**{**tiny_settings(), **settings})).eval()
    folder = tmp_path / "mgcma"
    model.save_pretrained(folder)
    MerProcessor(wave_feature_extractor(), tiny_tokenizer()).save_pretrained(folder)
    assert {"configuration_mgcma.py", "mgcma_layers.py", "mer_distributed.py"} <= {f.name for f in folder.iterdir()}
    soundfile.write(tmp_path / "speech.wav", tone(), 16000)
    batch = make_batch(model.config)
    save_file(batch, str(tmp_path / "batch.safetensors"))
    start = "import hf_mer.models\ntrust = {}\n" if with_package else 'trust = {"trust_remote_code": True}\n'
    code = ("" if with_package else WITHOUT_PACKAGE) + COMMON + start + MGCMA + PRINT
    rest = (tmp_path / "speech.wav", tmp_path / "batch.safetensors", tmp_path / "unused")
    result = run(code, tmp_path, folder, *rest, python_path=str(ROOT) if with_package else "")
    close(result, model(**batch).logits.tolist())
    assert result["config"] == [
        "MgcmaConfig", ["token", "distribution"], "hf_mer" if with_package else "transformers_modules"
    ]  # fmt: skip
    both, speech, text = result["pipeline"]
    assert both != speech != text != both
