"""The tab of a dialogue: turns are added one by one and the words of the earlier ones are kept."""

from functools import partial
from typing import Any

import gradio as gr

from hf_mer.app.controls import (
    LIGHT,
    STATE_SECONDS,
    Site,
    attempt,
    by_model,
    chosen_threshold,
    make_inputs,
    on_threshold,
    show_results,
)
from hf_mer.app.dialogue import Turn, add_turn, dialogue_html
from hf_mer.app.examples import example_dialogue
from hf_mer.app.texts import advice
from hf_mer.app.utterance import Utterance


def build_dialogue_tab(site: Site) -> None:
    """Lays out the tab and connects its parts."""
    model = site.model
    if not model.uses("text"):
        gr.Markdown(
            "This model does not use text, so earlier turns have no effect: each turn is recognised by itself."
        )
    with gr.Row():
        with gr.Column(min_width=280):
            inputs = make_inputs(model, "dialogue")
            with gr.Row():
                add = gr.Button("Add turn", variant="primary", elem_id="dialogue-add", min_width=120)
                clear = gr.Button("Clear", elem_id="dialogue-clear", min_width=120)
            example = gr.Button("Example: three turns", size="sm", elem_id="dialogue-example")
            example.visible = bool(site.examples)
        with gr.Column(min_width=280):
            alert = gr.HTML(elem_id="dialogue-alert")
            shown = gr.HTML(_show(site, [], None), elem_id="dialogue-turns")
    turns = gr.State([], time_to_live=STATE_SECONDS)

    outputs = [alert, shown, turns, *inputs.all]
    given = [turns, *inputs.all, *site.threshold]
    starts = [add.click, *([inputs.words.submit] if model.uses("text") else [])]
    added = [start(partial(_add, site), given, outputs, **by_model(shown)) for start in starts]
    added.append(example.click(partial(_example, site), [*site.threshold], outputs, **by_model(shown)))
    for event in added:
        show_results(event, "#dialogue-alert .hm-alert", ".hm-turns > li")
    clear.click(partial(_clear, site), None, outputs, **LIGHT)
    on_threshold(site, partial(_show, site), turns, shown, added)


def _add(
    site: Site, turns: list[Turn], sound: str | None, video: str | None, words: str, *threshold: Any
) -> tuple[Any, ...]:
    utterance = Utterance(sound, video, words or "")
    longer, alert = attempt(add_turn, site.model, turns, utterance, files=utterance.files)
    if longer is None:
        return alert, gr.skip(), turns, gr.skip(), gr.skip(), gr.skip()
    return "", _show(site, longer, chosen_threshold(*threshold)), longer, None, None, ""


def _clear(site: Site) -> tuple[Any, ...]:
    return "", _show(site, [], None), [], None, None, ""


def _example(site: Site, *threshold: Any) -> tuple[Any, ...]:
    def recognise() -> list[Turn]:
        turns: list[Turn] = []
        for utterance in example_dialogue(site.examples, site.folder / "dialogue", site.model):
            turns = add_turn(site.model, turns, utterance)
        return turns

    turns, alert = attempt(recognise)
    return alert, _show(site, turns or [], chosen_threshold(*threshold)), turns or [], None, None, ""


def _show(site: Site, turns: list[Turn], threshold: float | None) -> str:
    return dialogue_html(
        turns, site.model.labels, partial(site.model.threshold, threshold), partial(advice, site.model)
    )
