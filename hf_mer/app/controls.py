"""What the tabs share: inputs for what the model uses, and how their functions are called."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from hf_mer.app.examples import Example
from hf_mer.app.html import alert_html
from hf_mer.app.lane import Lane, Limits
from hf_mer.app.media import message_of
from hf_mer.app.model import PageModel

# Predictions wait for one another: the model uses all cores for one. Long recordings have a line of their own.
_ONE_AT_A_TIME: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}
LIGHT: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
STATE_SECONDS = 600
_PROGRESS_HEIGHT = 60  # pixels, for the sign that something is being computed


def place_for_results(name: str, before: str = "") -> gr.HTML:
    """A place on the page where something is shown later.

    Args:
        name: Of the element.
        before: What stands there until then.
    """
    return gr.HTML(before, elem_id=name, min_height=_PROGRESS_HEIGHT)


def by_model(progress_on: Any) -> dict[str, Any]:
    """Settings of an event that asks the model, and shows in one place that it does."""
    return {**_ONE_AT_A_TIME, "show_progress_on": progress_on}


@dataclass(frozen=True)
class Site:
    """What every tab is built from.

    Attributes:
        model: The model.
        examples: Of the model's classes.
        folder: For files that are made.
        threshold: The visitor's own, and whether that of validation is used in its place; see `chosen_threshold`.
        limits: Of what a visitor may ask.
        long: Where long recordings wait.
    """

    model: PageModel
    examples: list[Example]
    folder: Path
    threshold: tuple[gr.Slider, gr.Checkbox]
    limits: Limits
    long: Lane


def chosen_threshold(value: float, is_automatic: bool) -> float | None:
    """The visitor's own; None for that of validation."""
    return None if is_automatic else value


def on_threshold(
    site: Site, show: Callable[..., Any], kept: gr.State, outputs: Any, after: Sequence[Any]
) -> list[Any]:
    """What is kept is shown by `show(kept, threshold)` when the threshold changes.

    Args:
        site: The page's.
        show: Makes the outputs.
        kept: What was computed.
        outputs: Where it is shown.
        after: Events that compute it; the threshold may have changed while they did.

    Returns:
        For each of these the event that shows it.
    """

    def changed(found: Any, *threshold: Any) -> Any:
        return show(found, chosen_threshold(*threshold))

    given = [kept, *site.threshold]
    for part in site.threshold:
        part.change(changed, given, outputs, **LIGHT)
    return [event.then(changed, given, outputs, **LIGHT) for event in after]


@dataclass(frozen=True)
class Inputs:
    """Recording, video and words; a `gr.State` that stays empty where the model has no use for one."""

    sound: Any
    video: Any
    words: Any

    @property
    def all(self) -> list[Any]:
        """In the order of the functions' arguments."""
        return [self.sound, self.video, self.words]


def make_inputs(model: PageModel, part: str) -> Inputs:
    """Inputs of a tab.

    Args:
        model: The model.
        part: Of the tab; begins the elements' names on the page.
    """
    sound: Any = gr.State(None)
    video: Any = gr.State(None)
    words: Any = gr.State("")
    if model.uses("speech"):
        sound = gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label="Recording (file or microphone)",
            buttons=[],
            elem_id=f"{part}-sound",
        )
    if model.uses("speech") or model.uses("video"):
        pictures = model.uses("video")
        with gr.Accordion("Video" if pictures else "Use a video instead (audio only)", open=pictures):
            video = gr.Video(
                sources=["upload", "webcam"] if pictures else ["upload"],
                label="Video (file or camera)" if pictures else "Video (file)",
                webcam_options=gr.WebcamOptions(mirror=False),
                buttons=[],
                elem_id=f"{part}-video",
            )
    if model.uses("text"):
        words = gr.Textbox(
            label="Words (what was said)",
            info="If left empty, they are recognised from the recording." if model.listens else None,
            placeholder="I am so glad you came",
            lines=1,
            max_lines=4,
            elem_id=f"{part}-words",
        )
    return Inputs(sound, video, words)


def mark_when_edited(inputs: Sequence[Any], *places: str) -> None:
    """Results in these places are marked as old as soon as a visitor, and not the page, changes an input.

    Text boxes are watched by `page.js`: Gradio's `input` comes with keys that write something, and would miss what is
    pasted, cut, deleted or dictated.
    """
    triggers = []
    for one in inputs:
        if isinstance(one, gr.Textbox):
            one.elem_classes = [*one.elem_classes, *(f"hm-edits-{place}" for place in places)]
        elif not isinstance(one, gr.State):
            events = ("input", "upload", "clear", "stop_recording")
            triggers += [getattr(one, event) for event in events if hasattr(one, event)]
    gr.on(triggers, fn=None, js=_call("stale", places), **LIGHT)


def on_start(triggers: Sequence[Any], *places: str) -> None:
    """What will be in these places belongs to the inputs as they are now."""
    gr.on(list(triggers), fn=None, js=_call("fresh", places), **LIGHT)


def show_results(event: Any, *selectors: str) -> None:
    """After an event, brings the first of these into view that is there."""
    event.then(fn=None, js=_call("show", selectors), **LIGHT)


def _call(function: str, arguments: Sequence[str]) -> str:
    """JavaScript that calls a function of `page.js`."""
    return f"() => {{ hfMer.{function}({', '.join(map(json.dumps, arguments))}) }}"


def attempt(function: Callable[..., Any], *arguments: Any, files: Sequence[str | None] = ()) -> tuple[Any, str]:
    """Calls a function: what it gives and no alert, or None and an alert for the page."""
    try:
        return function(*arguments), ""
    except Exception as error:  # the page says what is wrong, and the server goes on
        return None, alert_html(message_of(error, files))
