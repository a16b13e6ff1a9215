"""Several visitors at once, by plain HTTP: nobody waits for another's long recording, or for what nobody wants."""

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'hf_mer[app]'")

from visitor import Visitor, begin_upload

from hf_mer.app.lane import Limits
from hf_mer.app.server import running_page

SHORT = [None, None, "so glad", "", 0.0, False]


@pytest.fixture(scope="module")
def page(model):
    with running_page(model, limits=Limits(minutes=20, waiting=1)) as page:
        yield page


@pytest.fixture
def url(page):
    return page.local_url


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """`recording(minutes)`: noise at a low rate."""
    folder = tmp_path_factory.mktemp("long")

    def make(minutes):
        path = folder / f"{minutes}.wav"
        if not path.exists():
            soundfile.write(path, np.random.default_rng(0).normal(scale=0.1, size=int(minutes * 60 * 4000)), 4000)
        return path

    return make


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def begin(url, path):
    """A visitor whose long recording has begun or waits, and what the page tells of it."""
    visitor = Visitor(url)
    assert visitor.join("long-go", [visitor.upload(path), "", 1, 0.5, 0.0, False]).status_code == 200
    messages = visitor.messages()
    told = next(message for message in messages if message["msg"] == "process_generating")
    return visitor, messages, str(told)


def test_a_short_prediction_does_not_wait_for_a_long_recording(url, recording):
    _, messages, told = begin(url, recording(15))
    assert "of the recording" in told
    assert "hm-verdict" in str(Visitor(url).ask("utterance-go", SHORT))
    assert next(messages)["msg"] != "process_completed"
    messages.close()


def test_a_visitor_who_leaves_ends_the_work_and_gives_up_the_place(url, model, recording, monkeypatch):
    windows = []
    forward = model.recognise.forward
    monkeypatch.setattr(model.recognise, "forward", lambda *given, **kw: windows.append(1) or forward(*given, **kw))
    for _ in range(4):  # more than may wait
        visitor, messages, _ = begin(url, recording(15))
        messages.close()
        visitor.http.close()
    assert until(lambda: len(windows) == (time.sleep(1.0), len(windows))[1])
    assert len(windows) < 4 * 1700


def test_more_than_may_wait_are_told_so_and_short_ones_still_go(url, recording):
    kept = [begin(url, recording(15)) for _ in range(2)]
    alert = Visitor(url).ask("long-go", [None, "", 1, 0.5, 0.0, False])[0]
    assert "The queue of 1 long recordings is full" in alert
    Visitor(url).ask("utterance-go", SHORT)
    assert "ahead of yours: 1" in kept[1][2]
    for _, messages, _ in kept:
        messages.close()


def test_a_recording_that_is_too_long_is_refused_with_the_limit(url, recording):
    visitor = Visitor(url)
    given = [visitor.upload(recording(21)), "", 1, 0.5, 0.0, False]
    answers = []
    assert until(lambda: answers.append(visitor.ask("long-go", given)[0]) or "queue" not in answers[-1])
    assert "longer than 20 minutes" in answers[-1]


def test_what_is_typed_has_a_limit(url):
    for words, history in (("x" * 5001, ""), ("yes", "so\n" * 10001)):
        began = time.monotonic()
        alert = Visitor(url).ask("utterance-go", [None, None, words, history, 0.0, False])[0]
        assert "characters; the limit is" in alert
        assert time.monotonic() - began < 5


def uploads(page):
    """Unfinished ones; `gr.File` puts an empty file beside them whenever it is read."""
    found = []
    for path in Path(page.app.uploaded_file_dir).iterdir():
        with contextlib.suppress(FileNotFoundError):  # taken away since it was listed
            if path.is_file() and path.stat().st_size:
                found.append(path)
    return found


def test_nothing_stays_of_an_upload_that_broke_off(page, url):
    connection = begin_upload(url, 50_000_000, 2_000_000)
    assert until(lambda: uploads(page) and uploads(page)[0].stat().st_size > 1_000_000)
    connection.close()
    assert until(lambda: not uploads(page))


def test_an_upload_that_goes_on_is_left_alone_when_another_breaks_off(page, url, monkeypatch):
    monkeypatch.setattr("hf_mer.app.uploads.STALL", 2.0)
    broken, whole = begin_upload(url, 50_000_000, 2_000_000), begin_upload(url, 50_000_000, 2_000_000)
    assert until(lambda: len(uploads(page)) == 2)
    broken.close()
    assert until(lambda: whole.sendall(bytes(100_000)) or len(uploads(page)) == 1)
    whole.sendall(bytes(100_000))
    assert len(uploads(page)) == 1
    whole.close()
    assert until(lambda: not uploads(page))


def test_an_upload_that_stalls_is_broken_off(page, url, monkeypatch):
    monkeypatch.setattr("hf_mer.app.uploads.STALL", 0.5)
    connection = begin_upload(url, 50_000_000, 2_000_000)
    connection.settimeout(20)
    assert b" 400 " in connection.recv(100)
    assert until(lambda: not uploads(page))


def test_what_is_too_large_or_no_upload_is_refused(url):
    visitor = Visitor(url)
    assert visitor.http.post("/gradio_api/queue/join", content=b" " * (5 * 2**20)).status_code == 413
    assert visitor.http.post("/gradio_api/component_server", files={"a": b"b"}).status_code == 415
    assert b" 413 " in begin_upload(url, 501 * 2**20 + 1, 10).recv(100)
