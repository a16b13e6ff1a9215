"""Which settings decide a second stage's result."""

import hashlib
import json
from typing import Any

from datasets import Dataset

from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import column
from hf_mer.training.corpus import has_modality
from hf_mer.training.fingerprints import recordings_hash
from hf_mer.training.pretraining.arguments import PretrainingArguments, SpeechEncoderArguments
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.deciding import RECORDINGS
from hf_mer.training.settings.roles import deciding

RESULTS = "pretraining.json"


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
