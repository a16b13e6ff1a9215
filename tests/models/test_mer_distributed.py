"""Two real processes (gloo) against one process with the joined batch."""

import subprocess
import sys
from pathlib import Path

import torch
from model_tester import gradients, make_batch, tiny_settings, tiny_video_config
from safetensors.torch import load_file, save_file

from hf_mer.models import (
    LeMerConfig,
    LeMerForEmotionClassification,
    MgcmaConfig,
    MgcmaForEmotionClassification,
    WavFusionConfig,
    WavFusionForEmotionClassification,
)
from hf_mer.models.mer_distributed import gather_across_ranks

WORKER = """
import os, sys
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoModel
import hf_mer.models

rank, folders = int(sys.argv[1]), sys.argv[2:]
dist.init_process_group("gloo", init_method=f"file://{folders[0]}/rendezvous", rank=rank, world_size=2)
for folder in folders:
    model = DistributedDataParallel(AutoModel.from_pretrained(folder).train(), find_unused_parameters=True)
    output = model(**load_file(f"{folder}/batch-{rank}.safetensors"))
    output.loss.backward()
    losses = {name: value.detach().clone() for name, value in output.losses.items()}
    grads = {name: p.grad for name, p in model.module.named_parameters() if p.grad is not None}
    save_file({**losses, **grads}, f"{folder}/result-{rank}.safetensors")
dist.destroy_process_group()
"""


def run_two_processes(folders: list[Path]) -> None:
    """Writes losses and averaged gradients of each process into each folder; starting costs far more than a step."""
    command = [sys.executable, "-c", WORKER]
    workers = [
        subprocess.Popen(
            [*command, str(rank), *map(str, folders)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for rank in range(2)
    ]
    for worker in workers:
        log = worker.communicate(timeout=180)[0]
        assert worker.returncode == 0, log


def mgcma(**overrides):
    settings = {"num_attention_heads": 2, "num_token_blocks": 1, "intermediate_size": 24, "dropout": 0.0}
    return MgcmaForEmotionClassification(MgcmaConfig(**{**tiny_settings(), **settings, **overrides}))


def wavfusion():
    settings = {"video_config": tiny_video_config(), "num_deep_layers": 1, "auxiliary_heads": 2, "video_dim": 8}
    return WavFusionForEmotionClassification(WavFusionConfig(**{**tiny_settings(), **settings}))


def le_mer():
    options = {"label_smoothing": 0.1, "class_weights": [0.3, 2.0, 0.7, 1.5]}
    return LeMerForEmotionClassification(LeMerConfig(**tiny_settings(), **options, fusion="constraint"))


MODELS = {"le_mer": le_mer, "mgcma": mgcma, "wavfusion": wavfusion}
OF_THE_JOINED_BATCH = ("distribution", "instance", "margin")  # on every process


def prepare(folder: Path, name: str, incomplete: bool) -> tuple:
    """A model's folder with the batch of each process, four rows and two; the model, and both halves."""
    torch.manual_seed(0)
    model = MODELS[name]().train()
    missing = {"no_text": (1,), "no_audio": (5,), "no_video": (0, 1, 2)} if incomplete else {}
    batch = make_batch(
        model.config, tokens=[7, 4, 9, 5, 6, 8], frames=[12, 20, 8, 9, 10, 11], labels=[0, 1, 2, 0, 1, 3], **missing
    )
    halves = [{key: value[part].contiguous() for key, value in batch.items()} for part in (slice(0, 4), slice(4, 6))]
    model.save_pretrained(folder)
    for rank, half in enumerate(halves):
        save_file(half, folder / f"batch-{rank}.safetensors")
    return model, batch, halves


def test_two_unequal_processes_give_the_loss_and_gradients_of_one(tmp_path):
    """Every model, with complete and incomplete utterances; one pair of processes for all."""
    cases = {tmp_path / f"{name}-{incomplete}": (name, incomplete) for name in MODELS for incomplete in (False, True)}
    prepared = {folder: prepare(folder, *case) for folder, case in cases.items()}
    run_two_processes(list(cases))
    for folder, (model, batch, halves) in prepared.items():
        print(folder.name)  # which a failure shows
        output = model(**batch)
        output.loss.backward()
        results = [load_file(folder / f"result-{rank}.safetensors") for rank in range(2)]
        for part, value in output.losses.items():
            found = [result.pop(part) for result in results]
            torch.testing.assert_close(sum(found) / 2, value.detach(), rtol=1e-4, atol=1e-5)
            if part in OF_THE_JOINED_BATCH:
                torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
            alone = sum(model(**half).losses[part] for half in halves) / 2
            assert (alone - value).abs() > 1e-4, (folder.name, part)  # what came of each process by itself
        for result in results:
            torch.testing.assert_close(result, gradients(model), rtol=1e-3, atol=1e-5)


def test_nothing_is_done_in_one_process():
    tensor = torch.ones(2, 3, requires_grad=True)
    assert gather_across_ranks(tensor)[0] is tensor
