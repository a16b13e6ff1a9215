"""Fixtures that every part of the suite shares: tiny random encoders, a small tokenizer, short recordings."""

import contextlib
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# modules that tests share: model_tester, the base class that every model's tests inherit; table_runs; loopback_hub; explained
sys.path[:0] = [
    str(Path(__file__).parent / name) for name in ("models", "training", "reproduction", "hub", "app", "plots")
]


@pytest.fixture(autouse=True)
def seed():
    """The same random numbers in every test, whichever tests run before it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    return 0


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """`shared_folder("corpus", make)`: a folder that `make(folder)` fills once for all workers; nobody writes into it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def share(name: str, make: Callable[[Path], object]) -> Path:
        folder, finished = root / "shared" / name, root / "shared" / f"{name}.finished"
        folder.parent.mkdir(exist_ok=True)
        with FileLock(root / "shared" / f"{name}.lock"):
            if not finished.exists():
                make(folder)
                finished.touch()
        return folder

    return share


@pytest.fixture
def speech_config():
    """`speech_config("wavlm", layerdrop=0.1)`: configuration of a tiny speech encoder of the given type."""
    from model_tester import tiny_speech_config

    return tiny_speech_config


@pytest.fixture
def text_config():
    """`text_config("roberta")`: configuration of a tiny text encoder of the given type."""
    from model_tester import tiny_text_config

    return tiny_text_config


@pytest.fixture
def tokenizer():
    """A BERT tokenizer over a short word list; every other lower-case word is spelled out in letters."""
    from model_tester import tiny_tokenizer

    return tiny_tokenizer()


@pytest.fixture
def byte_tokenizer():
    """A byte-level BPE tokenizer with RoBERTa's special tokens."""
    from model_tester import tiny_byte_tokenizer

    return tiny_byte_tokenizer()


@pytest.fixture
def wave_extractor():
    """Feature extractor of encoders that take samples."""
    from model_tester import wave_feature_extractor

    return wave_feature_extractor()


@pytest.fixture
def mel_extractor():
    """Feature extractor of encoders that take log-mel frames (wav2vec2-bert)."""
    from model_tester import mel_feature_extractor

    return mel_feature_extractor()


@pytest.fixture
def write_wav(tmp_path):
    """`write_wav("a.wav", seconds=0.4, rate=16000, channels=1)`: a short recording, its path."""
    import soundfile
    from model_tester import tone

    def write(
        name: str = "speech.wav", seconds: float = 0.4, rate: int = 16000, channels: int = 1, pitch: float = 220.0
    ):
        samples = tone(seconds, rate, pitch)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples if channels == 1 else samples[:, None].repeat(channels, 1), rate)
        return str(path)

    return write


@pytest.fixture(scope="session")
def made_checkpoints(tmp_path_factory):
    """Folders of the checkpoints that `tiny_checkpoint` made, by what they were asked to be; it gives copies."""
    return tmp_path_factory.mktemp("made_checkpoints"), {}


@pytest.fixture
def tiny_checkpoint(tmp_path, made_checkpoints):
    """`tiny_checkpoint(speech_type="wav2vec2", **config)`: a folder of model, processor and store, and the model."""
    from model_tester import save_tiny_checkpoint, tiny_checkpoint_model

    root, made = made_checkpoints

    def make(name: str = "checkpoint", speech_type: str = "wav2vec2", with_store: bool = True, **config):
        key = repr((speech_type, with_store, sorted(config.items())))
        if key not in made:
            made[key] = root / str(len(made))
            save_tiny_checkpoint(made[key], speech_type, with_store, **config)
        folder = shutil.copytree(made[key], tmp_path / name, dirs_exist_ok=True)
        return str(folder), tiny_checkpoint_model(speech_type, with_store, **config)

    return make


@pytest.fixture
def write_video(tmp_path):
    """`write_video("a.mp4", seconds=2.0, sound=True)`: a clip whose frame i has brightness `20 + 5 i`, its path."""
    from media_files import write_clip

    def write(name: str = "clip.mp4", **settings):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, **settings)
        return str(path)

    return write


@pytest.fixture
def little_memory():
    """`with little_memory():` 256 MiB and no more for what is allocated; modules must have been imported before."""
    resource, status = pytest.importorskip("resource"), Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("needs /proc")

    @contextlib.contextmanager
    def limit():
        before = resource.getrlimit(resource.RLIMIT_DATA)
        used = int(status.read_text().split("VmData:")[1].split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (used + (256 << 20), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)

    return limit
