"""No command overwrites what it did not write unless asked."""

import pytest

from hf_mer.cli import main
from hf_mer.files import check_replaceable, save_figure, write_csv
from hf_mer.plots.style import figure

MINE = "years of work"


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_figures_and_their_numbers_are_known_again(tmp_path, suffix):
    path, numbers = tmp_path / f"a{suffix}", tmp_path / "a.csv"
    write_csv(numbers, ["score"], [[1]])
    with pytest.raises(FileExistsError, match=r"a\.csv: not written by this command, and not overwritten"):
        check_replaceable([path, numbers])
    save_figure(figure(1, 1), path)
    check_replaceable([path, numbers])
    path.write_bytes(b"a photograph")
    with pytest.raises(FileExistsError, match=rf"a\{suffix}, .*a\.csv: not written"):
        check_replaceable([path, numbers])
    check_replaceable([path, numbers], overwrite=True)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["card", "{fold}/model", "--corpus", "own", "--out", "{out}/README.md"], "README.md"),
        (["plot", "{fold}", "--what", "confusion", "--out", "{out}"], "confusion_matrix.png"),
        (["plot", "{fold}", "--what", "confusion", "--out", "{out}"], "confusion_matrix.csv"),
        (["predict", "{fold}", "--text", "hello", "--plot", "{out}/why.svg"], "why.svg"),
    ],
)  # fmt: skip
def test_a_file_of_ones_own_is_kept_and_what_the_command_wrote_is_not(fold, tmp_path, capsys, command, file):
    (fold / "results.json").rename(fold / "kept.json") if command[0] == "card" else None
    path = tmp_path / "out" / file
    path.parent.mkdir()
    path.write_text(MINE)
    command = [word.format(fold=fold, out=path.parent) for word in command]
    assert main(command) == 1
    assert f"{path}: not written by this command" in capsys.readouterr().err
    assert path.read_text() == MINE
    assert len(list(path.parent.iterdir())) == 1
    assert main([*command, "--overwrite"]) == 0
    assert MINE.encode() not in path.read_bytes()
    assert main(command) == 0


def test_an_evaluation_looks_before_it_works(tmp_path, capsys):
    (tmp_path / "conditions.md").write_text(MINE)
    command = ["evaluate", "nowhere", "--corpus", "iemocap", "--data-dir", "nowhere", "--out", str(tmp_path)]
    assert main(command) == 1
    assert "conditions.md: not written by this command" in capsys.readouterr().err
    (tmp_path / "conditions.json").write_text('{"conditions": []}')
    assert main(command) == 1
    assert "conditions.md" not in capsys.readouterr().err


def test_the_demo_looks_before_it_works(tmp_path, capsys):
    (tmp_path / "scores.png").write_text(MINE)
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert "scores.png: not written by this command" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 1
