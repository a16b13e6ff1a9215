"""Whatever holds a file's bytes is that file, for sound and picture; no message shows what is in it."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from model_tester import tone

from hf_mer.models.audio_blocks_mer import audio_blocks
from hf_mer.models.audio_mer import AudioError, load_audio
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.sources_mer import begins_like_a_file, shown_name
from hf_mer.models.video_mer import VideoError, load_video, media_kinds


class Once(io.RawIOBase):
    """A stream that cannot be rewound."""

    def __init__(self, content):
        self.content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.content.readinto(buffer)


def forms(path):
    content = Path(path).read_bytes()
    at_its_end = io.BytesIO(content)
    at_its_end.seek(0, io.SEEK_END)
    yield from (bytearray(content), memoryview(content), io.BytesIO(content), at_its_end, Path(path).open("rb"))  # noqa: SIM115
    yield from (np.frombuffer(content, np.uint8), np.frombuffer(content, np.int8), list(content))
    yield from (torch.frombuffer(bytearray(content), dtype=torch.uint8), Once(content))
    for form in (bytearray(content), memoryview(content), io.BytesIO(content)):
        yield {"bytes": form}
    yield from ({"path": io.BytesIO(content)}, {"array": np.frombuffer(content, np.uint8)})


def test_sound_in_every_form(write_wav):
    path = write_wav()
    for form in forms(path):
        np.testing.assert_array_equal(load_audio(form), load_audio(path))
    for form in forms(path):
        np.testing.assert_array_equal(np.concatenate(list(audio_blocks(form))), load_audio(path))


def test_picture_in_every_form(write_video):
    path = write_video(seconds=0.4)
    expected = load_video(path, 2)
    for form in forms(path):
        np.testing.assert_array_equal(load_video(form, 2), expected)
    for form in forms(path):
        assert media_kinds(form) == {"speech", "video"}


def test_a_file_object_is_left_where_it_stood(write_wav):
    with Path(write_wav()).open("rb") as file:
        file.seek(7)
        load_audio(file)
        assert file.tell() == 7


def test_an_array_of_bytes_is_said_to_be_a_file_and_samples_are_left(write_wav):
    with collected_notes() as notes:
        load_audio(np.frombuffer(Path(write_wav()).read_bytes(), np.uint8))
    assert "begins like a file" in notes[0]
    samples = np.full(4000, 128, np.uint8)
    samples[::2] = 255
    with collected_notes() as notes:
        assert load_audio(samples).max() > 0.9
    assert notes == []


@pytest.mark.parametrize(("load", "error"), [(load_audio, AudioError), (load_video, VideoError)])
def test_refusals_show_no_content(write_wav, load, error):
    path = write_wav()
    content = Path(path).read_bytes()
    with Path(path).open("rb") as closed:
        pass
    for source, message in (
        (Path(path).open(encoding="latin-1"), r"speech\.wav.*text mode.*'rb'"),  # noqa: SIM115
        (io.StringIO("RIFF secret"), "text mode"),
        (closed, "cannot be read"),
        ({"bytes": "RIFF secret"}, "'bytes' must be bytes, not a str"),
        ({"bytes": 3}, "'bytes' must be bytes, not int"),
        (content.decode("latin-1"), "a str of .* characters: no such"),
        (bytearray(b"secret" * 99), "cannot be read"),
        ({"bytes": bytearray(b"secret" * 99)}, "cannot be read"),
    ):
        with pytest.raises(error, match=message) as caught:
            load(source)
        assert not {"RIFF", "secret"} & set(str(caught.value).replace("'", " ").split())


def test_beginnings():
    for head in (b"RIFF\0\0\0\0WAVE", b"fLaC" + bytes(8), b"\0\0\0\x20ftypisom", b"\xff\xfb\x90\0" + bytes(8)):
        assert begins_like_a_file(head)
    for head in (bytes(12), b"\xff\xff\xff\xff" + bytes(8), b"\x80" * 12):
        assert not begins_like_a_file(head)


def test_names():
    assert shown_name({"path": "a.wav", "bytes": b"secret"}) == "a.wav"
    assert shown_name(tone()) == "input"
    assert shown_name("x" * 1000) == "a str of 1000 characters"


@pytest.mark.parametrize("load", [load_audio, load_video])
def test_borders_of_spans_are_numbers(load, write_video):
    film = write_video("a.mp4", seconds=1.0)
    whole = load({"path": film, "start": float("nan"), "end": None})
    assert np.array_equal(whole, load(film))
    half = load({"path": film, "start": np.float32(0.5)})
    assert len(half) <= len(whole)
    with pytest.raises(ValueError, match=r"a\.mp4: start must be seconds, a number, not '1'"):
        load({"path": film, "start": "1"})
