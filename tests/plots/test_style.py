import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from hf_mer.plots import class_colors, class_markers, confusion_matrix
from hf_mer.plots.style import INK, OKABE_ITO, figure, ink_on, shade, styled


def test_an_emotion_has_one_colour_whatever_it_is_called():
    iemocap = class_colors(["angry", "happy", "excited", "neutral", "sad", "frustrated"])
    meld = class_colors(["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"])
    assert iemocap["angry"] == meld["anger"] == OKABE_ITO["vermilion"]
    assert iemocap["happy"] == meld["joy"]
    assert iemocap["sad"] == meld["sadness"]


@pytest.mark.parametrize("count", [2, 9, 12, 20])
def test_colours_differ_between_classes(count):
    labels = [f"class {index}" for index in range(count)]
    assert len(set(class_colors(labels).values())) == count
    # emotions that would share a colour do not, once they stand side by side
    colors = class_colors(["excited", "disgust", "calm", "neutral"])
    assert len(set(colors.values())) == 4


def test_ink_can_be_read():
    assert ink_on("#08306B") == "#FFFFFF"
    assert ink_on("#F7FBFF") == INK


def test_figures_leave_the_readers_settings_alone_and_are_not_touched_by_them():
    before = dict(matplotlib.rcParams)
    matrix, labels = np.array([[3, 1], [0, 2]]), ["angry", "sad"]
    plain = confusion_matrix(matrix, labels)
    plain.canvas.draw()
    plain.draw_without_rendering()
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "xtick.labelsize": 40}):
        other = confusion_matrix(matrix, labels)
        other.draw_without_rendering()
        sizes = [label.get_fontsize() for label in other.axes[0].get_xticklabels()]
    assert sizes == [label.get_fontsize() for label in plain.axes[0].get_xticklabels()]
    assert other.axes[0].get_facecolor() == plain.axes[0].get_facecolor()


def test_text_is_never_taken_for_formulas(drawn_texts):
    @styled
    def make():
        fig = figure(3, 2)
        fig.add_subplot().set_title("costs $\\nosuch$")
        return fig

    assert "costs $\\nosuch$" in drawn_texts(make())


def test_import_needs_neither_pyplot_nor_torch():
    code = (
        "import sys, hf_mer.plots;"
        "print(*[name for name in ('matplotlib.pyplot', 'torch', 'sklearn', 'datasets') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == ""


@pytest.mark.parametrize("count", [4, 8, 12])
def test_markers_differ_between_classes(count):
    assert len(set(class_markers([f"class {index}" for index in range(count)]).values())) == count


def test_shades():
    assert [shade("#808080", amount) for amount in (-1, 0, 1)] == ["#000000", "#808080", "#FFFFFF"]
    assert shade("#0000FF", 0.5) == "#8080FF"


def test_a_pdf_holds_whole_fonts(tmp_path):
    confusion_matrix(np.array([[3, 1], [0, 2]]), ["angry", "sad"]).savefig(tmp_path / "figure.pdf")
    content = (tmp_path / "figure.pdf").read_bytes()
    assert b"/Type42" in content or b"/CIDFontType2" in content  # TrueType, which printers and editors take
    assert b"/Type3" not in content
