"""The tab of one utterance: scores, what speaks for and against a class, and each modality alone."""

from functools import partial
from typing import Any

import gradio as gr

from hf_mer.app.controls import (
    STATE_SECONDS,
    Inputs,
    Site,
    attempt,
    by_model,
    chosen_threshold,
    make_inputs,
    mark_when_edited,
    on_start,
    on_threshold,
    place_for_results,
    show_results,
)
from hf_mer.app.examples import Example, right_example
from hf_mer.app.explaining import explain
from hf_mer.app.explanation_html import explanation_html
from hf_mer.app.html import alert_html, comparison_html, empty_html, result_html
from hf_mer.app.texts import EXAMPLES, EXPIRED, NO_RESULT, about_threshold, advice, calibration
from hf_mer.app.utterance import Prediction, Utterance, compare, predict

_RESULTS, _COMPARISON = "utterance-results", "utterance-comparison"


def build_utterance_tab(site: Site) -> None:
    """Lays out the tab and connects its parts."""
    model = site.model
    buttons = _example_buttons(site)
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
        with gr.Column(min_width=280, elem_id=_RESULTS):
            alert = gr.HTML(elem_id="utterance-alert")
            result = place_for_results("utterance-result", empty_html(NO_RESULT))
            label = gr.Radio(model.labels, label="Explain", visible=False, elem_id="utterance-label")
            explanation = place_for_results("utterance-explanation")
    comparison = place_for_results(_COMPARISON)
    kept, kept_comparison = (gr.State(None, time_to_live=STATE_SECONDS) for _ in range(2))

    given = [*inputs.all, history, *site.threshold]
    shown = [alert, result, label, explanation, comparison, kept]
    starts = [go.click, *([inputs.words.submit] if model.uses("text") else [])]
    begun = [start(partial(_recognise, site), given, shown, **by_model(result)) for start in starts]
    begun += [
        _connect_example(site, button, example, inputs, history).then(
            partial(_recognise, site), given, shown, **by_model(result)
        )
        for button, example in buttons
    ]
    for recognised in begun:
        show_results(recognised, "#utterance-alert .hm-alert", "#utterance-result .hm")
        recognised.then(partial(_explain, site, ""), [kept, label], explanation, **by_model(explanation))
    label.input(
        partial(_explain, site, alert_html(EXPIRED)),
        [kept, label],
        explanation,
        trigger_mode="always_last",
        **by_model(explanation),
    )
    on_start([*starts, *(button.click for button, _ in buttons)], _RESULTS, _COMPARISON)
    mark_when_edited([*inputs.all, history], _RESULTS, _COMPARISON)
    if len(model.modalities) > 1:
        compared = side_by_side.click(
            partial(_compare, site), given, [alert, comparison, kept_comparison], **by_model(comparison)
        )
        show_results(compared, "#utterance-alert .hm-alert", f"#{_COMPARISON} .hm")
        on_start([side_by_side.click], _COMPARISON)
        on_threshold(site, partial(_show_comparison, site), kept_comparison, comparison, [compared])
    on_threshold(site, partial(_show_result, site), kept, result, begun)


def _example_buttons(site: Site) -> list[tuple[gr.Button, Example]]:
    if not site.examples:
        return []
    gr.Markdown(EXAMPLES)
    with gr.Row(elem_classes="hm-example-row"):
        return [
            (gr.Button(example.label, size="sm", min_width=60, elem_id=f"example-{example.label}"), example)
            for example in site.examples
        ]


def _connect_example(site: Site, button: gr.Button, example: Example, inputs: Inputs, history: Any) -> Any:
    def fill() -> tuple[str | None, str | None, str, str]:
        utterance = right_example(example, site.folder, site.model)
        return utterance.sound, utterance.video, utterance.words, ""

    return button.click(fill, None, [*inputs.all, history], api_visibility="private")


def _utterance(sound: str | None, video: str | None, words: str | None, history: str | None) -> Utterance:
    earlier = tuple(line.strip() for line in (history or "").splitlines() if line.strip())
    return Utterance(sound, video, words or "", earlier)


def _recognise(site: Site, sound: str | None, video: str | None, words: str, history: str, *threshold: Any) -> tuple:
    utterance = _utterance(sound, video, words, history)
    prediction, alert = attempt(predict, site.model, utterance, files=utterance.files)
    if prediction is None:
        return alert, "", gr.Radio(visible=False), "", "", None
    best = prediction.scores[0]["label"]
    return (
        "",
        _show_result(site, prediction, chosen_threshold(*threshold)),
        gr.Radio(value=best, visible=True),
        "",
        "",
        prediction,
    )


def _explain(site: Site, without: str, prediction: Prediction | None, label: str) -> str:
    """After the scores are shown: an explanation takes longer than they do.

    Args:
        site: The page's.
        without: What is shown where there is no prediction.
        prediction: Of `_recognise`.
        label: Class that is explained.
    """
    if prediction is None:
        return without
    found, alert = attempt(explain, site.model, prediction, label, files=prediction.utterance.files)
    return explanation_html(prediction, found, site.model.system) if found else alert


def _compare(site: Site, sound: str | None, video: str | None, words: str, history: str, *threshold: Any) -> tuple:
    utterance = _utterance(sound, video, words, history)
    columns, alert = attempt(compare, site.model, utterance, files=utterance.files)
    return alert, _show_comparison(site, columns, chosen_threshold(*threshold)) if columns else "", columns


def _show_result(site: Site, prediction: Prediction | None, threshold: float | None) -> Any:
    if prediction is None:
        return gr.skip()
    model, had = site.model, prediction.modalities
    told = " ".join([calibration(model, had), *([about_threshold(model, had)] if threshold is None else [])])
    return result_html(prediction, model.labels, model.threshold(threshold, had), told, advice(model, had))


def _show_comparison(site: Site, columns: dict | None, threshold: float | None) -> Any:
    if not columns:
        return gr.skip()
    return comparison_html(columns, site.model.labels, partial(site.model.threshold, threshold))
