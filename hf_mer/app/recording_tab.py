"""The tab of long recordings: a timeline of emotions as a figure, a table and a CSV file."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import gradio as gr
from anyio import to_thread

from hf_mer.app.controls import (
    STATE_SECONDS,
    Site,
    attempt,
    mark_when_edited,
    on_start,
    on_threshold,
    place_for_results,
    show_results,
)
from hf_mer.app.examples import example_recording
from hf_mer.app.html import STALE, alert_html, notices_html
from hf_mer.app.lane import Watch
from hf_mer.app.media import PageError, keep
from hf_mer.app.recording import Timeline, clock, recognise_recording
from hf_mer.app.texts import advice
from hf_mer.app.timeline import table_html, timeline_html

# All of them begin at once and stand in a line of our own: in Gradio's, those that nobody waits for would fill it.
_IN_LINE: dict[str, Any] = {"concurrency_limit": None, "concurrency_id": "long", "api_visibility": "private"}
_POLL = 0.5  # seconds
_RESULTS = "long-results"


def build_recording_tab(site: Site) -> None:
    """Lays out the tab and connects its parts."""
    gr.Markdown(f"Recordings of up to {site.limits.minutes:g} minutes are recognised in overlapping windows.")
    with gr.Row():
        with gr.Column(min_width=280):
            file = gr.File(
                label="Recording or video",
                type="filepath",
                file_types=["audio", "video"],
                elem_id="long-file",
                height=140,
            )
            words: Any = gr.State("")
            if site.model.uses("text"):
                words = gr.Textbox(
                    label="Words with their times",
                    info="One segment per line: start, end (seconds or minutes:seconds), words.",
                    placeholder="0.0 2.4 I am so glad you came",
                    lines=3,
                    max_lines=6,
                    elem_id="long-words",
                )
        with gr.Column(min_width=280):
            window = gr.Slider(1, 30, 8, step=0.5, label="Window length (seconds)", elem_id="long-window")
            hop = gr.Slider(0.5, 30, 4, step=0.5, label="Hop between windows (seconds)", elem_id="long-hop")
            go = gr.Button("Draw the timeline", variant="primary", elem_id="long-go")
            example = gr.Button("Example: two speakers", size="sm", elem_id="long-example")
            example.visible = bool(site.examples)
    alert = gr.HTML(elem_id="long-alert")
    with gr.Column(elem_id=_RESULTS):
        figure = place_for_results("long-figure")
        table = gr.HTML(elem_id="long-table")
    kept = gr.State(None, time_to_live=STATE_SECONDS)

    given = [file, words, window, hop]
    shown = [alert, figure, table, kept]
    filled = example.click(partial(_example, site), None, [file, words, window, hop], api_visibility="private")
    begun = [
        start(partial(_recognise, site), given, shown, **_IN_LINE, show_progress_on=figure)
        for start in (go.click, filled.then)
    ]
    for drawn in on_threshold(site, partial(_show, site), kept, [figure, table], begun):
        show_results(drawn, "#long-alert .hm-alert", "#long-figure .hm")
    on_start([go.click, example.click], _RESULTS)
    mark_when_edited([file, words, window, hop], _RESULTS)


async def _recognise(site: Site, path: str | None, words: str, window: float, hop: float) -> AsyncIterator[tuple]:
    """How many are before, how far it is, and then what is drawn; closed by Gradio when the visitor leaves."""
    watch = Watch(longest=60 * site.limits.minutes)
    try:
        with site.long.place() as before:
            while before():
                yield "", _status(f"Long recordings ahead of yours: {before()}."), "", None
                keep(path)
                await asyncio.sleep(_POLL)
            work = partial(_time_line, site, path, words or "", window, hop, watch)
            task = asyncio.ensure_future(to_thread.run_sync(work))
            while not (await asyncio.wait([task], timeout=_POLL))[0]:
                keep(path)
                yield "", _status(f"Processed {clock(watch.seconds)} of the recording."), "", None
            yield task.result()
    except PageError as error:
        yield alert_html(str(error)), "", "", None
    finally:
        watch.left = True


def _time_line(site: Site, path: str | None, words: str, window: float, hop: float, watch: Watch) -> tuple:
    timeline, alert = attempt(recognise_recording, site.model, path, window, hop, words, watch, files=(path,))
    return alert, "" if timeline is None else _status("Drawing the timeline."), "", timeline


def _status(told: str) -> str:
    return f'<div class="hm"><p class="hm-small" role="status">{told}</p></div>'


def _example(site: Site) -> tuple[str, str, float, float]:
    path, lines = example_recording(site.examples, site.folder / "recording", site.model)
    return path, lines if site.model.uses("text") else "", 4.0, 2.0


def _show(site: Site, timeline: Timeline | None, threshold: float | None) -> tuple[Any, Any]:
    if timeline is None:
        return gr.skip(), gr.skip()
    labels = site.model.labels
    thresholds = [site.model.threshold(threshold, window["modalities"]) for window in timeline.windows]
    blank = timeline.decisions(thresholds).count(None)
    told = advice(site.model, timeline.modalities)
    notices = list(timeline.notices)
    if blank and told:
        notices.append(f"{blank} of {len(timeline.windows)} windows have no label. {told}")
    drawn = timeline_html(timeline, labels, thresholds)
    return f'<div class="hm">{STALE}{notices_html(notices)}</div>{drawn}', table_html(timeline, labels, thresholds)
