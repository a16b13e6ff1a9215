"""What those share who train on a small generated corpus, and those who read what was trained."""

import pytest

# encoders that a test can train
TEXT = {
    "model_type": "bert",
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
}
SPEECH = {
    "model_type": "wav2vec2-bert",
    "feature_projection_input_dim": 320,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_depthwise_kernel_size": 5,
    "position_embeddings_type": None,
}


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path_factory, monkeypatch):
    """The datasets cache of these tests, which they share."""
    import datasets

    folder = tmp_path_factory.getbasetemp() / "datasets_cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def corpus(shared_folder):
    """Root of a generated corpus of 60 short utterances in IEMOCAP's tree."""
    from hf_mer.data.generated.generate import GeneratedCorpusConfig, generate_corpus

    config = GeneratedCorpusConfig(
        num_utterances=60, words_per_utterance=(4, 5), salient_words=(1, 1), utterances_per_dialogue=6
    )
    return shared_folder("60_utterances", lambda root: generate_corpus(root, config, progress=False))
