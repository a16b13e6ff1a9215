import numpy as np
import pytest

from hf_mer.plots import history_series, training_curves

PARTS = ["loss_multimodal", "loss_constraint", "loss_text_label", "loss_speech_label"]


def history(epochs=4):
    records = []
    for epoch in range(1, epochs + 1):
        parts = dict.fromkeys(PARTS, 1 / epoch)
        records.append({"loss": 2 / epoch, **parts, "learning_rate": 1e-4, "epoch": epoch - 0.5, "step": epoch * 10})
        ua = 0.7 - 0.1 * abs(epoch - 3)
        records.append({"eval_loss": 1.0, "eval_ua": ua, "eval_wa": ua + 0.02, "epoch": float(epoch), "step": epoch})
    return [*records, {"train_runtime": 3.0, "train_loss": 1.2, "epoch": epochs}]


def test_numbers_behind_the_curves():
    series = history_series(history())
    assert set(series) == {"loss", *PARTS, "eval_loss", "eval_ua", "eval_wa"}
    np.testing.assert_allclose(series["loss"], [[0.5, 2], [1.5, 1], [2.5, 2 / 3], [3.5, 0.5]])
    again = history_series([*history(), {"loss": 9.0, "epoch": 0.5}])  # a resumed run logs a point again
    assert again["loss"][0].tolist() == [0.5, 9.0]
    sorted_by_name = [dict(sorted(record.items(), reverse=True)) for record in history()]
    assert list(history_series(sorted_by_name)) == list(series)  # of a log that was read from a checkpoint


def test_curves_name_each_loss_and_mark_the_best_epoch(drawn_texts):
    fig = training_curves(history(), title="LE-MER, fold Ses05")
    texts = drawn_texts(fig)
    for name in ["total (training)", "multimodal", "constraint", "text label", "speech label", "WA", "UA", "epoch"]:
        assert name in texts
    assert "best UA 0.700\nepoch 3" in texts
    for axes in fig.axes:
        marks = [
            line.get_xdata() for line in axes.lines if line.get_linestyle() == "--" and len(line.get_xdata()) == 2
        ]
        assert [3.0, 3.0] in [list(mark) for mark in marks]


def test_a_panel_without_numbers_is_left_out(drawn_texts):
    losses = training_curves([record for record in history() if "loss" in record])
    assert len(losses.axes) == 1
    drawn_texts(losses)
    scores = training_curves([{"eval_ua": 0.5, "epoch": 1.0}])
    assert "best UA 0.500\nepoch 1" in drawn_texts(scores)
    with pytest.raises(ValueError, match=r"trainer\.state\.log_history"):
        training_curves([{"train_runtime": 3.0, "epoch": 1}])
    with pytest.raises(ValueError, match="'eval_loss' is not one of"):
        training_curves(history(), best="eval_loss")


def test_epochs_without_a_score_do_not_become_the_best(drawn_texts):
    records = [{"eval_ua": float("nan"), "epoch": 1.0}, {"eval_ua": 0.4, "epoch": 2.0}]
    assert "best UA 0.400\nepoch 2" in drawn_texts(training_curves(records))
    drawn_texts(training_curves(records[:1]))
