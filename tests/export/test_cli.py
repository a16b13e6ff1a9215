import pytest

from hf_mer.cli import main


@pytest.mark.slow
def test_export_and_predict(tiny_checkpoint, text_config, tmp_path, capsys):
    settings = {"modalities": ["text"], "text_config": text_config(num_hidden_layers=1)}
    checkpoint, _ = tiny_checkpoint(with_store=False, **settings)
    manifest = tmp_path / "corpus.csv"
    manifest.write_text("text,label\nso glad,happy\nawful day,sad\nyes,happy\n")
    out = tmp_path / "exported"
    flags = ["--int8", "--utterances", str(manifest), "--limit", "2", "--opset", "18"]
    assert main(["export", checkpoint, str(out), *flags]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:3]] == ["PyTorch", "model.onnx", "model_int8.onnx"]
    assert printed[3].startswith("largest difference from PyTorch in 4 random batches: logits ")
    assert printed[4].startswith("int8, 32 random utterances: same label for ")
    assert printed[5].startswith("int8, 2 given utterances: same label for ")
    assert printed[-1] == str(out)
    outputs = []
    for model in (checkpoint, str(out), str(out / "model_int8.onnx")):
        assert main(["predict", model, "--text", "so glad"]) == 0
        outputs.append([line.split() for line in capsys.readouterr().out.splitlines() if line])
    plain, exported, eight_bits = ({row[0]: float(row[1]) for row in rows} for rows in outputs)
    assert exported == pytest.approx(plain, abs=2e-3)
    assert eight_bits == pytest.approx(plain, abs=0.1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--utterances", "corpus.csv"], "give --int8 too"),
        (["--int8", "--utterances", "corpus.csv", "--limit", "0"], "--limit 0 must be at least 1"),
    ],
)
def test_flags_that_do_not_go_together(flags, message, capsys, tmp_path):
    assert main(["export", "checkpoint", str(tmp_path / "out"), *flags]) == 1
    assert message in capsys.readouterr().err


def test_help_teaches_by_example(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "hf-mer predict exported hello.wav" in capsys.readouterr().out
