"""The page: what it is not for, three tabs, one threshold."""

from pathlib import Path
from typing import Any

import gradio as gr

from hf_mer.app.controls import LIGHT, Site
from hf_mer.app.dialogue_tab import build_dialogue_tab
from hf_mer.app.examples import examples_for
from hf_mer.app.lane import Lane, Limits
from hf_mer.app.model import THRESHOLD, PageModel
from hf_mer.app.recording_tab import build_recording_tab
from hf_mer.app.texts import PRIVACY, heading, limitations, limits_of, not_for
from hf_mer.app.utterance_tab import build_utterance_tab

KEPT_SECONDS = 600  # uploads and what is made of them
STYLE, SCRIPT = (Path(__file__).with_name(name) for name in ("style.css", "page.js"))


def build_page(model: PageModel, folder: Path, limits: Limits | None = None) -> gr.Blocks:
    """Lays out the page of a checkpoint.

    Args:
        model: The checkpoint.
        folder: For the files of the examples.
        limits: Of what a visitor may ask; the defaults if not given.
    """
    limits = limits or Limits()
    with gr.Blocks(
        title=f"Emotion recognition: {model.name}", analytics_enabled=False, delete_cache=(60, KEPT_SECONDS)
    ) as page:
        gr.Markdown(heading(model), elem_id="heading")
        gr.Markdown(not_for(model.corpus), elem_id="not-for")
        threshold = _make_threshold(model)
        examples = examples_for(model.labels, model.uses("video"))
        site = Site(model, examples, folder, threshold, limits, Lane(limits.waiting))
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Utterance", id="utterance"):
                build_utterance_tab(site)
            with gr.Tab("Dialogue", id="dialogue"):
                build_dialogue_tab(site)
            if model.uses("speech"):
                with gr.Tab("Long recording", id="long"):
                    build_recording_tab(site)
        for part in threshold:
            part.render()
        value, automatic = threshold
        automatic.change(lambda chosen: gr.Slider(visible=not chosen), automatic, value, **LIGHT)
        with gr.Accordion("Limitations and privacy", open=False):
            gr.Markdown(f"{limitations(model.corpus)}{limits_of(limits)}\n{PRIVACY}")
    return page.queue(max_size=limits.waiting)


def _make_threshold(model: PageModel) -> tuple[gr.Slider, gr.Checkbox]:
    """The visitor's own, and whether that of validation is used in its place; not yet on the page."""
    value = gr.Slider(
        0,
        1,
        THRESHOLD,
        step=0.01,
        label="Threshold: no label below this score",
        visible=not model.has_thresholds,
        elem_id="threshold",
        render=False,
    )
    automatic = gr.Checkbox(
        model.has_thresholds,
        label="Threshold from validation, by the modalities that an utterance has",
        visible=model.has_thresholds,
        elem_id="threshold-automatic",
        render=False,
    )
    return value, automatic


def look() -> dict[str, Any]:
    """Theme, style and script for `launch`: fonts of the visitor's own system, nothing from elsewhere."""
    fonts = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
    theme = gr.themes.Default(
        primary_hue="blue", font=fonts, font_mono=("ui-monospace", "Consolas", "monospace"), text_size="md"
    ).set(
        # the defaults are too faint to read: 2.5 to 1 for grey text, 3.7 to 1 for white on blue
        body_text_color_subdued="*neutral_600",
        input_placeholder_color="*neutral_500",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
    )
    head = f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>"
    return {"theme": theme, "css_paths": STYLE, "head": head}
