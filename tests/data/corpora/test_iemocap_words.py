"""Word times from forced alignments as they lie in IEMOCAP's release."""

import numpy as np
import pytest

from hf_mer.data.corpora.iemocap_words import alignment_path, word_times, write_alignment

RELEASE = """\t SFrm  EFrm    SegAScr Word
\t    0    40    -112233 <s>
\t   41    72     -17530 WHAT(2)
\t   73    90     -98765 ++BREATHING++
\t   91   132    -258661 <sil>
\t  133   146    -258661 WELL
\t  147   156    -308615 DON'T(2)
\t  157   170    -308615 </s>
 Total score:     -1046033
"""


@pytest.fixture
def audio(tmp_path):
    wav = tmp_path / "Session1" / "sentences" / "wav" / "Ses01F_impro01" / "Ses01F_impro01_F000.wav"
    path = tmp_path / "Session1" / "sentences" / "ForcedAlignment" / "Ses01F_impro01" / "Ses01F_impro01_F000.wdseg"
    assert alignment_path(wav) == path
    path.parent.mkdir(parents=True)
    path.write_text(RELEASE)
    return wav


def test_words_of_the_release(audio):
    times = word_times(audio, ["What", "--", "Well-don\u2019t!"])
    assert times == pytest.approx(np.array([[0.41, 0.73], [0.73, 0.73], [1.33, 1.57]]))
    assert word_times({"path": str(audio)}, ["[LAUGHTER]", "what"]) == pytest.approx(np.array([[0, 0], [0.41, 0.73]]))


@pytest.mark.parametrize("words", [["Which", "well", "don't"], ["What", "well", "don't", "you"], ["well"]])
def test_other_words_have_no_times(audio, words):
    assert word_times(audio, words) is None


def test_sound_without_an_alignment(audio):
    for other in (None, "a.wav", audio.with_name("other.wav"), np.zeros(9), {"path": None, "bytes": b""}):
        assert word_times(other, ["What"]) is None
    assert word_times({"path": str(audio), "start": 0.5, "end": 1.0}, ["What"]) is None


def test_what_is_written_is_read_again(audio):
    spans = np.array([[0.1, 0.25], [0.31, 0.5]])
    write_alignment(audio, ["can't", "glad"], spans)
    assert word_times(audio, ["Can't,", "glad."]) == pytest.approx(spans)
