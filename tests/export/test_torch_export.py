"""The snippet in the documentation of `hf_mer.export`, which makes a program of `torch.export`."""

import re

import pytest
import torch
from model_tester import make_batch

import hf_mer.export

SNIPPET = re.search(r"```python\n(.*?)```", hf_mer.export.__doc__, re.DOTALL)[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["le_mer", "mgcma", "wavfusion"])
def test_the_snippet_makes_a_program_for_every_length(name, request, write_wav, write_video, tmp_path, monkeypatch):
    export = request.getfixturevalue(name)
    write_wav("a.wav", 0.4)
    write_wav("b.wav", 0.2)
    monkeypatch.chdir(tmp_path)
    code = SNIPPET.replace("runs/le_mer/Ses05/model", export.checkpoint)
    if name == "wavfusion":
        code = code.replace("text=[", f"video=[{str(write_video())!r}] * 2, text=[")
    names = {}
    exec(code, names)
    assert names["logits"].shape == (2, export.model.config.num_labels)
    program = torch.export.load(tmp_path / "model.pt2").module()
    for settings in (
        {"tokens": [1], "frames": [2]},
        {"tokens": [3, 11, 5, 8], "frames": [31, 4, 90, 9], "padding": 5},
    ):
        batch = make_batch(export.model.config, seed=3, **settings)
        with torch.no_grad():
            torch.testing.assert_close(program(**batch).logits, export.model(**batch).logits, rtol=1e-4, atol=1e-5)
