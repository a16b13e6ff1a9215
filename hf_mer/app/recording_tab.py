"""The tab of long recordings: a time line of emotions as a figure, a table and a CSV file."""

from functools import partial
from typing import Any

import gradio as gr

from hf_mer.app.controls import LIGHT, STATE_SECONDS, Site, attempt, by_model, place_for_results
from hf_mer.app.examples import example_recording
from hf_mer.app.html import notices_html
from hf_mer.app.recording import Timeline, recognise_recording
from hf_mer.app.timeline import table_html, timeline_html


def build_recording_tab(site: Site) -> None:
    """Lays out the tab and connects its parts."""
    gr.Markdown(
        "A recording of any length is recognised in windows that overlap. Without words the voice decides alone."
        if site.model.uses("text") and not site.model.listens
        else "A recording of any length is recognised in windows that overlap."
    )
    with gr.Row():
        with gr.Column(min_width=280):
            file = gr.File(
                label="Recording or film",
                type="filepath",
                file_types=["audio", "video"],
                elem_id="long-file",
                height=140,
            )
            words: Any = gr.State("")
            if site.model.uses("text"):
                words = gr.Textbox(
                    label="Words with their times",
                    info="One stretch a line: start, end (seconds or minutes:seconds), what was said.",
                    placeholder="0.0 2.4 I am so glad you came",
                    lines=3,
                    max_lines=6,
                    elem_id="long-words",
                )
        with gr.Column(min_width=280):
            window = gr.Slider(1, 30, 8, step=0.5, label="Length of a window, seconds", elem_id="long-window")
            hop = gr.Slider(0.5, 30, 4, step=0.5, label="Step to the next window, seconds", elem_id="long-hop")
            go = gr.Button("Draw the time line", variant="primary", elem_id="long-go")
            example = gr.Button("An example of two people", size="sm", elem_id="long-example")
            example.visible = bool(site.examples)
    alert = gr.HTML(elem_id="long-alert")
    figure = place_for_results("long-figure")
    table = gr.HTML(elem_id="long-table")
    kept = gr.State(None, time_to_live=STATE_SECONDS)

    given = [file, words, window, hop, site.threshold]
    shown = [alert, figure, table, kept]
    go.click(partial(_recognise, site), given, shown, **by_model(figure))
    filled = example.click(partial(_example, site), None, [file, words, window, hop], api_visibility="private")
    filled.then(partial(_recognise, site), given, shown, **by_model(figure))
    site.threshold.change(partial(_show, site), [kept, site.threshold], [figure, table], **LIGHT)


def _recognise(site: Site, path: str | None, words: str, window: float, hop: float, threshold: float) -> tuple:
    timeline, alert = attempt(recognise_recording, site.model, path, window, hop, words or "", files=(path,))
    if timeline is None:
        return alert, "", "", None
    return "", *_show(site, timeline, threshold), timeline


def _example(site: Site) -> tuple[str, str, float, float]:
    path, lines = example_recording(site.examples, site.folder)
    return path, lines if site.model.uses("text") else "", 4.0, 2.0


def _show(site: Site, timeline: Timeline | None, threshold: float) -> tuple[Any, Any]:
    if timeline is None:
        return gr.skip(), gr.skip()
    labels = site.model.labels
    notices = notices_html(timeline.notices)
    return notices + timeline_html(timeline, labels, threshold), table_html(timeline, labels, threshold)
