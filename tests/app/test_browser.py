"""The page in a real browser, as its visitors use it."""

import csv
import re
import threading

import pytest

WORDS = "so glad you came"


def upload(page, path, place="#utterance-sound"):
    page.set_input_files(f"{place} input[type=file]", path)
    page.wait_for_selector(f"{place} audio", state="attached")


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


def choose_file(page, path):
    """By the keyboard; without a window Chromium does not always take a key for a person's wish to open a dialogue."""
    from playwright.sync_api import TimeoutError as NotOpened

    for key in ("Space", "Enter") * 3:
        try:
            with page.expect_file_chooser(timeout=4000) as chooser:
                page.keyboard.press(key)
        except NotOpened:
            continue
        chooser.value.set_files(path)
        return
    raise AssertionError("no key opens the file dialogue")


def number(text):
    return float(re.search(r"\d\.\d\d", text).group())


def background(page, selector):
    return page.eval_on_selector(selector, "element => getComputedStyle(element).backgroundColor")


def luminance(color):
    parts = [float(part) for part in re.findall(r"[\d.]+", color)][:3]
    parts = parts if color.startswith("color(") else [part / 255 for part in parts]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


SEEN = "element => element.getBoundingClientRect().top >= 0 && element.getBoundingClientRect().bottom <= innerHeight"


def opacity(page, selector):
    return float(page.eval_on_selector(selector, "element => getComputedStyle(element).opacity"))


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_upload_predict_explain_compare(visit, model, write_wav):
    seen = visit()
    page = seen.page
    path = write_wav("said.wav", seconds=1.0)
    upload(page, path)
    page.fill("#utterance-words textarea", WORDS)
    page.click("#utterance-go")
    page.wait_for_selector("#utterance-result table")
    expected = model.recognise(path, text=WORDS)
    rows = page.locator("#utterance-result tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == [item["label"] for item in expected]
    assert [number(row) for row in rows] == pytest.approx([item["score"] for item in expected], abs=0.0051)

    found = expected[0]["label"]
    page.wait_for_selector(f"#utterance-explanation h3:has-text('for and against {found}')")
    words = page.locator("#utterance-explanation .hm-word")
    assert " ".join(words.all_inner_texts()) == WORDS
    assert all(f"for {found} (" in title for title in words.evaluate_all("words => words.map(word => word.title)"))
    rows = page.locator("#utterance-explanation .hm-modalities tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["text", "speech", "together"]
    sound = page.locator("#utterance-explanation img.hm-figure")
    assert sound.get_attribute("alt").startswith(f"Waveform of 1.0 seconds; the largest value for {found} is ")
    assert sound.evaluate("image => image.complete && image.naturalWidth > 0")
    page.get_by_text("All values as a table").click()
    assert page.locator("#utterance-explanation .hm-table tbody tr").count() >= 2 + words.count()

    other = expected[-1]["label"]
    page.get_by_role("radio", name=other).check()
    page.wait_for_selector(f"#utterance-explanation h3:has-text('for and against {other}')")

    page.click("#utterance-compare")
    page.wait_for_selector("#utterance-comparison table")
    captions = page.locator("#utterance-comparison caption").all_text_contents()
    assert [caption.split(" dotted")[0].strip() for caption in captions] == [
        "speech alone",
        "text alone",
        "speech and text",
    ]
    assert number(page.locator("#utterance-comparison section:first-child tbody tr").first.inner_text()) == (
        pytest.approx(model.recognise(path)[0]["score"], abs=0.0051)
    )

    page.locator("#threshold input[type=number]").fill("0.99")
    page.wait_for_selector("#utterance-result :text('No label')")
    page.locator("#threshold input[type=number]").fill("0")
    page.wait_for_selector("#utterance-result .hm-verdict strong")
    assert not seen.elsewhere
    assert not seen.errors


@pytest.mark.slow
def test_what_is_wrong_is_said_and_the_server_goes_on(visit, tmp_path, write_wav):
    page = visit().page
    page.click("#utterance-go")
    page.wait_for_selector("[role=alert]:has-text('nothing to recognise')")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound at all" * 50)
    upload(page, broken)
    page.click("#utterance-go")
    alert = page.wait_for_selector("[role=alert]:has-text('broken.wav')").inner_text()
    assert "cannot be read as audio" in alert
    assert "Traceback" not in page.inner_text("body")
    assert "/" not in alert
    page.reload()
    page.wait_for_selector("#utterance-go")
    upload(page, write_wav("short.wav", seconds=0.01))
    page.click("#utterance-go")
    page.wait_for_selector("[role=alert]:has-text('too short')")
    page.fill("#utterance-words textarea", WORDS)
    page.get_by_label("Remove").or_(page.get_by_label("Clear")).first.click()
    page.click("#utterance-go")
    page.wait_for_selector("#utterance-result table")
    assert page.locator("[role=alert]").count() == 0


@pytest.mark.slow
def test_results_of_an_earlier_input_are_marked(visit, write_wav):
    page = visit().page
    page.fill("#utterance-words textarea", WORDS)
    page.click("#utterance-go")
    page.wait_for_selector("#utterance-explanation .hm-word")
    old = page.locator("#utterance-result .hm-stale")
    assert not old.is_visible()
    assert opacity(page, "#utterance-result .hm-scores") == 1
    page.locator("#utterance-words textarea").press("Backspace")
    old.wait_for(state="visible")
    page.locator("#utterance-words textarea").press_sequentially(" then")
    for place in ("#utterance-result .hm-scores", "#utterance-explanation .hm-modalities"):
        assert opacity(page, place) < 1
    page.click("#utterance-compare")  # of words alone there is nothing to compare
    page.wait_for_selector("[role=alert]:has-text('at least two')")
    assert old.is_visible()
    page.locator("#threshold input[type=number]").fill("0.1")
    page.wait_for_selector("#utterance-result .hm-verdict strong")
    assert old.is_visible()
    page.click("#utterance-go")
    old.wait_for(state="hidden")
    page.wait_for_selector("#utterance-explanation .hm-word:has-text('then')")
    upload(page, write_wav("said.wav", seconds=0.6))
    old.wait_for(state="visible")
    page.fill("#utterance-words textarea", "")
    page.locator("#threshold input[type=number]").fill("0.99")
    page.click("#utterance-go")
    page.wait_for_selector("#utterance-result .hm-note:has-text('Without words this model uses speech alone')")
    page.click("#example-sad")
    page.wait_for_selector("#utterance-explanation .hm-word")
    assert not old.is_visible()


@pytest.mark.slow
def test_of_a_recording_and_a_video_it_is_said_which_is_used(visit, write_wav, write_video):
    page = visit().page
    upload(page, write_wav("said.wav", seconds=0.6))
    page.get_by_text("Use a video instead (audio only)").click()
    page.set_input_files("#utterance-video input[type=file]", write_video("scene.mp4", seconds=0.8))
    page.wait_for_selector("#utterance-video video", state="attached")
    page.click("#utterance-go")
    page.wait_for_selector("#utterance-result .hm-note:has-text('the recording is used, the video is not')")


@pytest.mark.slow
def test_the_threshold_of_validation_is_that_of_what_was_given(checkpoint, browser, write_wav):
    from hf_mer.app.model import load_page_model
    from hf_mer.app.server import running_page

    calibrated = load_page_model(checkpoint)
    calibrated.recognise.model.config.thresholds = {"speech": 0.99, "text": 0.01}
    with running_page(calibrated) as server:
        page = browser.new_page()
        page.goto(server.local_url, timeout=60_000)
        page.fill("#utterance-words textarea", WORDS)
        page.click("#utterance-go")
        page.wait_for_selector("#utterance-result :text('Threshold 0.01: 9 in 10 validation utterances with text')")
        assert page.locator("#utterance-result .hm-verdict strong").is_visible()
        assert not page.locator("#threshold").is_visible()
        page.fill("#utterance-words textarea", "")
        upload(page, write_wav("said.wav", seconds=0.6))
        page.click("#utterance-go")
        page.wait_for_selector("#utterance-result :text('is below the threshold of 0.99')")
        page.get_by_label("Threshold from validation").uncheck()
        page.wait_for_selector("#utterance-result :text('0.50')")
        page.locator("#threshold input[type=number]").fill("0")
        page.wait_for_selector("#utterance-result .hm-verdict strong")
        assert page.locator("#utterance-result :text('validation utterances')").count() == 0
        page.close()


@pytest.mark.slow
def test_a_threshold_that_moves_during_a_computation_counts(visit, model, monkeypatch):
    held, forward = threading.Event(), model.recognise.forward
    monkeypatch.setattr(model.recognise, "forward", lambda *given, **kw: held.wait(60) and forward(*given, **kw))
    page = visit().page
    page.fill("#utterance-words textarea", WORDS)
    page.click("#utterance-go")
    page.locator("#threshold input[type=number]").fill("1")
    page.locator("#threshold input[type=number]").press("Tab")
    held.set()
    page.wait_for_selector("#utterance-result :text('is below the threshold of 1.00')")


@pytest.mark.slow
def test_a_dialogue_keeps_its_history(visit, model):
    page = visit().page
    open_tab(page, "Dialogue")
    said = ["who is it", "what a day", "so glad"]
    for count, words in enumerate(said, start=1):
        page.fill("#dialogue-words textarea", words)
        page.click("#dialogue-add")
        page.wait_for_selector(f".hm-turns > li:nth-child({count})")
    turns = page.locator(".hm-turns > li")
    expected = model.recognise([{"text": words} for words in said], dialogue=True)
    for turn, scores, words, history in zip(
        turns.all(), expected, said, ("without", "1 earlier", "2 earlier"), strict=True
    ):
        text = turn.inner_text()
        assert words in text
        assert history in text
        assert number(text) == pytest.approx(scores[0]["score"], abs=0.0051)
    turns.nth(2).locator("summary").click()
    assert turns.nth(2).locator("details li").all_inner_texts() == said[:2]
    page.click("#dialogue-clear")
    page.wait_for_selector("#dialogue-turns :text('No turns yet')")


@pytest.mark.slow
def test_a_long_recording_has_a_time_line_and_a_file(visit, model, write_wav, tmp_path):
    seen = visit()
    page = seen.page
    path = write_wav("call.wav", seconds=5.0)
    open_tab(page, "Long recording")
    page.set_input_files("#long-file input[type=file]", path)
    page.wait_for_selector("#long-file :text('call')")
    page.locator("#long-window input[type=number]").fill("2")
    page.locator("#long-hop input[type=number]").fill("1")
    page.locator("#long-hop input[type=number]").press("Tab")
    page.fill("#long-words textarea", "0 2 what a day")
    page.click("#long-go")
    page.wait_for_selector("#long-figure .hm-timeline")
    words = [{"text": "what a day", "timestamp": (0.0, 2.0)}]
    expected = model.recognise(path, window_seconds=2.0, hop_seconds=1.0, text=words)["timeline"]
    assert page.locator("#long-table tbody tr").count() == len(expected) >= 4
    assert page.locator("#long-figure img").evaluate("image => image.complete && image.naturalWidth > 0")
    with page.expect_download() as download:
        page.click("a.hm-download")
    saved = tmp_path / "saved.csv"
    download.value.save_as(saved)
    with saved.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["end"]) for row in rows] == pytest.approx([window["end"] for window in expected], abs=1e-3)
    best = expected[1]["scores"][0]
    assert float(rows[1][best["label"]]) == pytest.approx(best["score"], abs=1e-4)
    old = page.locator("#long-results .hm-stale").first
    assert not old.is_visible()
    page.fill("#long-words textarea", "no times here")
    old.wait_for(state="visible")
    page.click("#long-go")
    page.wait_for_selector("[role=alert]:has-text('Line 1 of the words')")
    assert not seen.elsewhere


@pytest.mark.slow
def test_on_a_dark_phone_nothing_is_wider_than_the_page(visit):
    page = visit(width=375, dark=True).page
    assert luminance(background(page, "body")) < 0.05
    page.click("#example-happy")
    page.wait_for_selector("#utterance-result table")
    page.wait_for_selector("#utterance-explanation .hm-word")
    assert page.locator("#utterance-result .hm-verdict").evaluate(SEEN)
    page.click("#utterance-compare")
    page.wait_for_selector("#utterance-comparison table")
    assert fits(page)
    bars = page.locator("#utterance-result .hm-bar")
    page.eval_on_selector("#utterance-result .hm-bar", "bar => bar.style.setProperty('--c', '#000000')")
    grounds = bars.evaluate_all("bars => bars.map(bar => getComputedStyle(bar).backgroundColor)")
    assert min(map(luminance, grounds)) + 0.05 >= 3 * (luminance(background(page, "body")) + 0.05)
    tops = page.get_by_role("tab").evaluate_all("tabs => tabs.map(tab => tab.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    for name in ("Dialogue", "Long recording"):
        open_tab(page, name)
        page.wait_for_timeout(200)
        assert fits(page)
    page.click("#long-example")
    page.wait_for_selector("#long-figure .hm-timeline")
    assert fits(page)
    assert "invert" in page.eval_on_selector("#long-figure img", "image => getComputedStyle(image).filter")


@pytest.mark.slow
def test_the_keyboard_alone_is_enough(visit, model, write_wav):
    page = visit().page

    def tab_to(wanted, most=40):
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("wanted => document.activeElement.closest(wanted) !== null", wanted):
                return
        raise AssertionError(f"{wanted} is not reached by the Tab key")

    page.wait_for_selector("#utterance-sound input[type=file]", state="attached")
    tab_to("#utterance-sound")
    choose_file(page, write_wav("said.wav", seconds=0.6))
    page.wait_for_selector("#utterance-sound audio", state="attached")
    tab_to("#utterance-words")
    page.keyboard.type(WORDS)
    tab_to("#utterance-go")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#utterance-result table")
    page.wait_for_selector("#utterance-label input:checked")
    chosen = page.locator("#utterance-label input:checked").get_attribute("value")
    other = next(label for label in reversed(model.labels) if label != chosen)
    tab_to(f"#utterance-label [value={other}]")
    page.keyboard.press("Space")
    page.wait_for_selector(f"#utterance-explanation h3:has-text('for and against {other}')")
    tab_to("#threshold")
    page.get_by_role("tab", name="Utterance").focus()
    for key, name in (("ArrowRight", "Dialogue"), ("End", "Long recording"), ("ArrowRight", "Utterance")):
        page.keyboard.press(key)
        page.wait_for_selector(f"[role=tab][aria-selected=true]:has-text('{name}')")
        assert page.evaluate("document.activeElement.innerText") == name


def test_everything_to_use_has_a_name(visit):
    page = visit().page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input:not([type=file]), textarea')]
            .filter(one => one.offsetParent !== null)
            .filter(one => !(one.innerText.trim() || one.getAttribute('aria-label') || one.title
                || (one.labels && [...one.labels].some(label => label.innerText.trim()))))
            .map(one => one.outerHTML.slice(0, 160))"""
    )
    assert nameless == []
    assert page.locator("#not-for").inner_text().startswith("What this is not for")
    page.get_by_text("Limitations and privacy").click()
    page.wait_for_selector(":text('AI Act')")
    page.wait_for_selector(":text('Nothing you give is kept')")
