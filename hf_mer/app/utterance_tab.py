"""The tab of one utterance: scores, what they rest on, and each modality alone."""

from functools import partial
from typing import Any

import gradio as gr

from hf_mer.app.controls import LIGHT, STATE_SECONDS, Inputs, Site, attempt, by_model, make_inputs, place_for_results
from hf_mer.app.examples import Example, make_example
from hf_mer.app.html import attention_html, comparison_html, result_html
from hf_mer.app.texts import calibration
from hf_mer.app.utterance import Prediction, Utterance, compare, predict


def build_utterance_tab(site: Site) -> None:
    """Lays out the tab and connects its parts."""
    model = site.model
    with gr.Row():
        with gr.Column(min_width=280):
            inputs = make_inputs(model, "utterance")
            history: Any = gr.State("")
            if model.uses("text"):
                with gr.Accordion("Earlier utterances of the dialogue", open=False):
                    history = gr.Textbox(label="One per line, oldest first", lines=2, elem_id="utterance-history")
            with gr.Row():
                go = gr.Button("Recognise", variant="primary", elem_id="utterance-go", min_width=120)
                if len(model.modalities) > 1:
                    side_by_side = gr.Button("Compare modalities", elem_id="utterance-compare", min_width=120)
            buttons = _example_buttons(site)
        with gr.Column(min_width=280):
            alert = gr.HTML(elem_id="utterance-alert")
            result = place_for_results("utterance-result")
            label = gr.Radio(model.labels, label="Label attention of class", visible=False, elem_id="utterance-label")
            attention = gr.HTML(elem_id="utterance-attention")
    comparison = place_for_results("utterance-comparison")
    kept, kept_comparison = (gr.State(None, time_to_live=STATE_SECONDS) for _ in range(2))

    given = [*inputs.all, history, site.threshold]
    shown = [alert, result, label, attention, comparison, kept]
    recognise = partial(_recognise, site)
    go.click(recognise, given, shown, **by_model(result))
    if model.uses("text"):
        inputs.words.submit(recognise, given, shown, **by_model(result))
    if len(model.modalities) > 1:
        side_by_side.click(
            partial(_compare, site), given, [alert, comparison, kept_comparison], **by_model(comparison)
        )
    label.input(partial(_show_attention, site), [kept, label], attention, **LIGHT)
    site.threshold.change(partial(_show_result, site), [kept, site.threshold], result, **LIGHT)
    site.threshold.change(partial(_show_comparison, site), [kept_comparison, site.threshold], comparison, **LIGHT)
    for button, example in buttons:
        _connect_example(site, button, example, inputs, history).then(recognise, given, shown, **by_model(result))


def _example_buttons(site: Site) -> list[tuple[gr.Button, Example]]:
    if not site.examples:
        return []
    gr.Markdown("Generated examples: synthetic babble whose words and voice carry the emotion.")
    with gr.Row(elem_classes="hm-example-row"):
        return [
            (gr.Button(example.label, size="sm", min_width=60, elem_id=f"example-{example.label}"), example)
            for example in site.examples
        ]


def _connect_example(site: Site, button: gr.Button, example: Example, inputs: Inputs, history: Any) -> Any:
    def fill() -> tuple[str | None, str | None, str, str]:
        utterance = make_example(example, site.folder, film=site.model.uses("video"))
        return utterance.sound, utterance.film, utterance.words if site.model.uses("text") else "", ""

    return button.click(fill, None, [*inputs.all, history], api_visibility="private")


def _utterance(sound: str | None, film: str | None, words: str | None, history: str | None) -> Utterance:
    earlier = tuple(line.strip() for line in (history or "").splitlines() if line.strip())
    return Utterance(sound, film, words or "", earlier)


def _recognise(site: Site, sound: str | None, film: str | None, words: str, history: str, threshold: float) -> tuple:
    model, utterance = site.model, _utterance(sound, film, words, history)
    prediction, alert = attempt(predict, model, utterance, files=utterance.files)
    if prediction is None:
        return alert, "", gr.Radio(visible=False), "", "", None
    best = prediction.scores[0]["label"]
    result = _show_result(site, prediction, threshold)
    return (
        "",
        result,
        gr.Radio(value=best, visible=prediction.explained),
        attention_html(prediction, best, model.keywords.get(best, [])),
        "",
        prediction,
    )


def _compare(site: Site, sound: str | None, film: str | None, words: str, history: str, threshold: float) -> tuple:
    utterance = _utterance(sound, film, words, history)
    columns, alert = attempt(compare, site.model, utterance, files=utterance.files)
    return alert, _show_comparison(site, columns, threshold) if columns else "", columns


def _show_result(site: Site, prediction: Prediction | None, threshold: float) -> Any:
    if prediction is None:
        return gr.skip()
    return result_html(prediction, site.model.labels, threshold, calibration(site.model, prediction.modalities))


def _show_attention(site: Site, prediction: Prediction | None, label: str) -> Any:
    if prediction is None:
        return gr.skip()
    return attention_html(prediction, label, site.model.keywords.get(label, []))


def _show_comparison(site: Site, columns: dict | None, threshold: float) -> Any:
    return comparison_html(columns, site.model.labels, threshold) if columns else gr.skip()
