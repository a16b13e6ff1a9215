"""The page's layout, by what the model uses."""

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'hf_mer[app]'")


def names(model, tmp_path):
    from hf_mer.app.page import build_page

    page = build_page(model, tmp_path)
    assert page.delete_cache == (60, 600)
    assert not page.analytics_enabled
    return {block.elem_id for block in page.blocks.values() if getattr(block, "elem_id", None)}


@pytest.fixture
def one_modality(tmp_path):
    def make(modality):
        from model_tester import save_tiny_checkpoint

        from hf_mer.app.model import load_page_model

        without = {"text": {"tonal_label_init": "none"}, "speech": {"text_label_init": "none"}}[modality]
        return load_page_model(save_tiny_checkpoint(tmp_path / modality, modalities=[modality], **without)[0])

    return make


def test_every_input_that_the_model_uses_is_there(model, film_model, one_modality, tmp_path):
    both = names(model, tmp_path)
    assert {"utterance-sound", "utterance-video", "utterance-words", "utterance-compare", "long-go"} <= both
    assert {"example-angry", "dialogue-add", "threshold", "not-for"} <= both
    assert "utterance-video" in names(film_model, tmp_path)
    words = names(one_modality("text"), tmp_path)
    assert "utterance-words" in words
    assert not words & {"utterance-sound", "utterance-video", "utterance-compare", "long-go"}
    voice = names(one_modality("speech"), tmp_path)
    assert {"utterance-sound", "long-go"} <= voice
    assert not voice & {"utterance-words", "utterance-history", "utterance-compare", "long-words"}


def test_fonts_are_the_visitor_s_own():
    from hf_mer.app.page import look

    theme = look()["theme"]
    assert "http" not in str(theme._stylesheets)
    assert not theme._font_css
