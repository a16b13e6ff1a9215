"""Where the warm-up ends, what is said of a long one, and patience that counts from its end."""

import pytest
import torch
from transformers import PreTrainedConfig, TrainerControl, TrainerState

from hf_mer.training import MerTrainer, MerTrainingArguments
from hf_mer.training.schedule import PatienceAfterWarmup, warmup_end


@pytest.fixture
def arguments(tmp_path):
    def make(**settings):
        return MerTrainingArguments(output_dir=str(tmp_path), use_cpu=True, learning_rates={}, **settings)

    return make


def test_where_the_warm_up_ends(arguments):
    assert warmup_end(arguments(warmup_steps=8000), 1300) == 8000
    assert warmup_end(arguments(warmup_steps=0.32), 25000) == 8000
    assert warmup_end(arguments(warmup_steps=0.32), 3200) == 1024  # eight processes: the same share
    assert warmup_end(arguments(warmup_steps=8000, lr_scheduler_type="constant"), 1300) == 0


@pytest.mark.parametrize(
    ("settings", "steps", "message"),
    [
        ({"warmup_steps": 8000, "num_train_epochs": 50}, 1300, "the warm-up of 8000 steps is longer than the 1300 steps "
         "of 50 epochs: learning rates stay below 16% of their values"),
        ({"warmup_steps": 8000, "num_train_epochs": 50}, 10400, "ends at step 8000 of the 10400 steps of 50 epochs"),
        ({"warmup_steps": 40, "max_steps": 100}, 100, "warmup_steps=40: the warm-up ends at step 40 of the 100 steps of max_steps"),
        ({"warmup_steps": 8000}, 24000, None),
        ({"warmup_steps": 0.32}, 7, None),
        ({"warmup_steps": 8000, "lr_scheduler_type": "constant"}, 1300, None),
    ],
)  # fmt: skip
def test_a_long_warm_up_is_said(arguments, settings, steps, message, caplog):
    model = torch.nn.Linear(1, 1)
    model.config = PreTrainedConfig()
    trainer = MerTrainer(model=model, args=arguments(**settings))
    trainer.create_optimizer_and_scheduler(steps)
    found = [record.getMessage() for record in caplog.records if "warm-up" in record.getMessage()]
    assert len(found) == (message is not None)
    assert message is None or message in found[0]


def stopped_at(args, scores, patience):
    """The epoch of ten steps after which a run of these scores stops, as the trainer calls the callback."""
    state, control = TrainerState(max_steps=10 * len(scores)), TrainerControl()
    for epoch, score in enumerate(scores, start=1):
        state.global_step = 10 * epoch
        state.log_history.append({"eval_ua": score, "step": state.global_step})
        state = TrainerState(**vars(state))  # every epoch goes on from a checkpoint
        PatienceAfterWarmup(patience).on_evaluate(args, state, control, {"eval_ua": score})
        if state.best_metric is None or score > state.best_metric:
            state.best_metric, state.best_global_step = score, state.global_step
        if control.should_training_stop:
            return epoch
    return None


def test_patience_counts_from_the_end_of_the_warm_up(arguments):
    chance = [0.25] * 10
    assert stopped_at(arguments(warmup_steps=0), chance, 2) == 3
    assert stopped_at(arguments(warmup_steps=0.5), chance, 2) == 7  # warm-up to the end of epoch 5
    assert stopped_at(arguments(warmup_steps=55), chance, 2) == 7  # within epoch 6, whose end counts
    assert stopped_at(arguments(warmup_steps=500), chance, 2) is None
    assert stopped_at(arguments(warmup_steps=20), [0.3, 0.2, 0.2, 0.4, 0.3, 0.4, 0.5], 2) == 6  # no better than 4
    assert stopped_at(arguments(warmup_steps=20), [0.3, 0.2, 0.2, 0.4, 0.3, 0.5, 0.4], 2) is None


def test_the_papers_warm_up_pays_in_its_settings_file():
    """The figures in the comment of the settings file, from the published utterances of every session."""
    import math
    from pathlib import Path

    from hf_mer.training.settings.parsing import read_yaml

    path = Path(__file__).parents[2] / "recipes" / "configs" / "le_mer_iemocap.yaml"
    settings, sessions = read_yaml(path), (1085, 1023, 1151, 1031, 1241)
    trained = [sum(sessions) - sessions[fold] - sessions[(fold + 1) % 5] for fold in range(5)]
    steps = [math.ceil(rows / settings["per_device_train_batch_size"]) for rows in trained]
    total = [settings["num_train_epochs"] * number for number in steps]
    ends = [math.ceil(settings["warmup_steps"] * number) for number in total]
    text = " ".join(path.read_text(encoding="utf-8").replace("#", " ").split())
    assert f"{min(steps)} to {max(steps)} steps an epoch and {min(total)} to {max(total)} in all" in text
    assert f"ends at step {min(ends)} to {max(ends)}, in epoch 39" in text
    assert {math.ceil(end / number) for end, number in zip(ends, steps, strict=True)} == {39}
    assert abs(sum(ends) / 5 / 8000 - 1) < 0.01  # the paper's
    assert all(number / 3 > 8000 for number in total)  # which would pay, too
