"""The one-pass label store against a slow, obvious reference in two passes."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from model_tester import (
    HOP,
    LABELS,
    feature_extractor_for,
    tiny_speech_config,
    tiny_text_config,
    tiny_tokenizer,
)
from torch import nn
from transformers import BertModel, Wav2Vec2ForPreTraining

from hf_mer.data.generated.sentences import LANGUAGES, write_sentence
from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor
from hf_mer.training.label_store.builder import LabelStoreArguments, build_label_store, describe_labels
from hf_mer.training.tokenizer import train_tokenizer

WORDS = ["glad lovely day", "awful report", "so it is", "who is it", "you came", "lovely lovely you", "no no", "yes"]


@pytest.fixture
def pretraining():
    torch.manual_seed(3)
    model = Wav2Vec2ForPreTraining(tiny_speech_config("wav2vec2")).eval()
    nn.init.normal_(model.quantizer.weight_proj.weight)  # its own start gives one code to everything
    return model


def make_model(speech_type="wav2vec2", **config):
    torch.manual_seed(0)
    config = {"id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}, **config}
    return LeMerForEmotionClassification(
        LeMerConfig(speech_config=tiny_speech_config(speech_type), text_config=tiny_text_config(), **config)
    )


def make_processor(speech_type="wav2vec2"):
    return MerProcessor(feature_extractor_for(speech_type), tiny_tokenizer(), max_text_tokens=40)


def make_batches(speech_type="wav2vec2", padding=5.0):
    """Two batches of four utterances of unequal length; the padding is filled with noise that nobody may count."""
    batches = []
    for number in range(2):
        generator = torch.Generator().manual_seed(number)
        frames = [9, 14, 6, 11]
        widths = {"wav2vec2-bert": (max(frames), (160,)), "whisper": (2 * max(frames) - 1, (80,))}
        width, shape = widths.get(speech_type, (HOP * max(frames), ()))
        mask = torch.zeros(4, width, dtype=torch.long)
        for row, count in enumerate(frames):
            mask[row, : count * width // max(frames)] = 1
        audio = torch.randn(4, width, *shape, generator=generator)
        noise = padding * torch.randn(audio.shape, generator=torch.Generator().manual_seed(99))
        audio = torch.where(mask.bool().view(4, width, *(1 for _ in shape)), audio, noise)
        name = "input_features" if shape else "input_values"
        audio = audio.transpose(1, 2) if speech_type == "whisper" else audio
        inputs = {name: audio, "audio_attention_mask": mask}
        batches.append({"labels": [0, 1, 2, 3], "texts": WORDS[4 * number : 4 * number + 4], "inputs": inputs})
    return batches


def once(batches):
    """An iterable that can be gone through a single time."""
    iterator = iter(batches)

    class Once:
        def __iter__(self):
            return iterator

    return Once()


def build(model, processor, batches, pretraining=None, encoder=None, **arguments):
    arguments = {"tonal_top_k": 3, "text_top_k": 2, "min_word_count": 1, "max_word_share": 1.0, **arguments}
    return build_label_store(
        model, processor, batches, LABELS, LabelStoreArguments(**arguments), pretraining, encoder, progress=False
    )


def ranked(documents: list[tuple[int, Counter]], k: int) -> list[list]:
    """First pass by hand: the mean TF-IDF over a class' utterances, term by term."""
    best = []
    for label in range(len(LABELS)):
        mine = [counts for c, counts in documents if c == label]
        scores = {}
        for term in {term for counts in mine for term in counts}:
            holding = sum(term in counts for _, counts in documents)
            idf = math.log((1 + len(documents)) / (1 + holding)) + 1
            scores[term] = sum(counts[term] / sum(counts.values()) for counts in mine) / len(mine) * idf
        best.append(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k])
    return best


@torch.no_grad()
def frames_of(model, batch, row):
    """Hidden states and conv features of one utterance by itself, without any padding."""
    mask = batch["inputs"]["audio_attention_mask"][row].bool()
    audio = model.audio_of(batch["inputs"])[row][mask][None]
    hidden = model.encode_speech(audio, None)[0][0]
    if audio.dim() == 3:
        return hidden, audio[0, :: 2 if model.config.speech_config.model_type == "whisper" else 1]
    return hidden, model.conv_features(audio, None)[0][0]


def reference(model, batches, to_codes, k):
    """Two passes: codes and their TF-IDF, then the mean hidden state of all frames that bear the best ones."""
    documents, states = [], defaultdict(list)
    for batch in batches:
        for row, label in enumerate(batch["labels"]):
            hidden, frames = frames_of(model, batch, row)
            codes = to_codes(hidden, frames)
            documents.append((label, Counter(codes)))
            for code, state in zip(codes, hidden, strict=True):
                states[code].append(state)
    best = ranked(documents, k)
    means = [torch.stack([torch.stack(states[code]).mean(0) for code, _ in codes]).mean(0) for codes in best]
    return best, torch.stack(means)


def assert_same_codes(store, best):
    for label, expected in zip(LABELS, best, strict=True):
        assert [code for code, _ in store.tonal_codes[label]] == [code for code, _ in expected]
        assert [s for _, s in store.tonal_codes[label]] == pytest.approx([s for _, s in expected])


def codebook_codes(pretraining):
    @torch.no_grad()
    def to_codes(hidden, frames):
        logits = pretraining.quantizer.weight_proj(frames).view(len(frames), 2, 6)
        return [int(one) + 6 * int(two) for one, two in logits.argmax(-1)]

    return to_codes


def test_codebook_in_the_hidden_space(pretraining):
    model = make_model().eval()
    store = build(model, make_processor(), once(make_batches()), pretraining)
    best, means = reference(model, make_batches(), codebook_codes(pretraining), 3)
    assert_same_codes(store, best)
    torch.testing.assert_close(store.tonal_embeddings, means, rtol=1e-4, atol=1e-5)
    assert store.discretizer == {"kind": "codebook", "groups": 2, "entries": 6}
    assert store.settings["rows_per_class"] == dict.fromkeys(LABELS, 2)


def test_codebook_in_the_contrastive_space(pretraining):
    model = make_model(tonal_space="contrastive", tonal_dim=10).eval()
    store = build(model, make_processor(), once(make_batches()), pretraining)
    best, _ = reference(model, make_batches(), codebook_codes(pretraining), 3)
    assert_same_codes(store, best)
    table = pretraining.quantizer.codevectors.view(2, 6, 6)
    with torch.no_grad():
        for label, codes in enumerate(best):
            vectors = torch.stack([torch.cat([table[0, c % 6], table[1, c // 6]]) for c, _ in codes])
            torch.testing.assert_close(store.tonal_embeddings[label], pretraining.project_q(vectors).mean(0))


@pytest.mark.parametrize(
    ("speech_type", "features"),
    [
        ("wav2vec2", "hidden"),
        ("wav2vec2-bert", "hidden"),
        ("wav2vec2-bert", "input"),
        ("whisper", "hidden"),
        ("whisper", "input"),
    ],
)
@pytest.mark.parametrize("kmeans_frames", [10, 50_000])
def test_kmeans(speech_type, features, kmeans_frames):
    model = make_model(speech_type).eval()
    arguments = {"discretizer": "kmeans", "kmeans_features": features, "kmeans_frames": kmeans_frames}
    store = build(model, make_processor(speech_type), once(make_batches(speech_type)), kmeans_clusters=6, **arguments)
    centroids = store.centroids

    def to_codes(hidden, frames):
        chosen = hidden if features == "hidden" else frames
        return [int((centroids - frame).square().sum(-1).argmin()) for frame in chosen]

    best, means = reference(model, make_batches(speech_type), to_codes, 3)
    assert_same_codes(store, best)
    torch.testing.assert_close(store.tonal_embeddings, means, rtol=1e-4, atol=1e-5)
    assert store.discretizer["features"] == features


def test_keywords_are_the_words_with_the_best_scores(pretraining):
    store = build(make_model(), make_processor(), make_batches(), pretraining, text_top_k=2)
    documents = [(i % 4, Counter(text.split())) for i, text in enumerate(WORDS)]
    for label, expected in zip(LABELS, ranked(documents, 2), strict=True):
        assert [word for word, _ in store.keywords[label]] == [word for word, _ in expected]


@pytest.mark.parametrize("discretizer", ["codebook", "kmeans"])
def test_padding_is_never_counted(pretraining, discretizer):
    stores = [
        build(make_model(), make_processor(), make_batches(padding=noise), pretraining, discretizer=discretizer)
        for noise in (0.0, 50.0)
    ]
    assert stores[0].tonal_codes == stores[1].tonal_codes
    torch.testing.assert_close(stores[0].tonal_embeddings, stores[1].tonal_embeddings, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text_init", ["none", "random", "label_words", "tfidf"])
def test_text_initialisations(text_init):
    model = make_model(text_label_init=text_init, tonal_label_init="none", fusion="vanilla")
    store = build(model, make_processor(), once(make_batches()))
    assert store.tonal_embeddings is None
    if text_init in ("none", "random"):
        assert store.text_embeddings is None
        return
    described = LABELS if text_init == "label_words" else [" ".join(w for w, _ in store.keywords[n]) for n in LABELS]
    model.eval()
    tokenizer = make_processor().tokenizer
    for label, description in enumerate(described):
        ids = tokenizer(description, return_tensors="pt").input_ids
        with torch.no_grad():
            states = model.text_encoder(ids).last_hidden_state[0, 1:-1]  # without [CLS] and [SEP]
        torch.testing.assert_close(store.text_embeddings[label], states.mean(0))


VALID = [
    ("none", "hidden", "codebook"),
    ("random", "hidden", "codebook"),
    ("random", "contrastive", "codebook"),
    ("bert", "hidden", "codebook"),
    ("bert", "contrastive", "codebook"),
    ("codebook", "hidden", "codebook"),
    ("codebook", "contrastive", "codebook"),
    ("codebook", "hidden", "kmeans"),
]


@pytest.mark.parametrize(("init", "space", "discretizer"), VALID)
@pytest.mark.parametrize("modalities", [["text", "speech"], ["speech"]])
def test_tonal_initialisations(pretraining, init, space, discretizer, modalities):
    model = make_model(
        tonal_label_init=init, tonal_space=space, tonal_dim=10, modalities=modalities, fusion="vanilla"
    ).train()
    encoder = BertModel(tiny_text_config()).eval()
    store = build(model, make_processor(), once(make_batches()), pretraining, encoder, discretizer=discretizer)
    assert (store.tonal_embeddings is None) == (init in ("none", "random"))
    assert model.training
    model.set_label_embeddings(store)
    if store.tonal_embeddings is not None:
        assert store.tonal_embeddings.shape == (4, model.config.tonal_width)
        torch.testing.assert_close(model.tonal_label_embeddings.weight.data, store.tonal_embeddings)


@pytest.mark.parametrize("width", [16, 10])
def test_bert_embeddings_keep_their_angles_in_a_wider_space(width):
    """12-wide text embeddings in a 16-wide space are only rotated; in a narrower one they cannot all be kept."""
    space = {"tonal_space": "contrastive", "tonal_dim": 10} if width == 10 else {}
    model = make_model(tonal_label_init="bert", fusion="vanilla", **space)
    store = build(model, make_processor(), make_batches())
    original = describe_labels(LABELS, model.text_encoder, make_processor().tokenizer)
    assert store.tonal_embeddings.shape == (4, width)
    if width == 16:
        torch.testing.assert_close(store.tonal_embeddings @ store.tonal_embeddings.T, original @ original.T)
    again = build(model, make_processor(), make_batches())
    torch.testing.assert_close(store.tonal_embeddings, again.tonal_embeddings)


def test_rows_without_audio_or_text(pretraining):
    batches = make_batches()
    batches[0]["inputs"]["audio_attention_mask"][1] = 0
    batches[1]["texts"][0] = None
    batches.append({"labels": [0], "texts": ["glad"], "inputs": None})
    model = make_model().eval()
    store = build(model, make_processor(), once(batches), pretraining)
    del batches[2]
    for batch in batches[:1]:
        batch["labels"] = batch["labels"][:1] + batch["labels"][2:]
        batch["inputs"] = {name: value[[0, 2, 3]] for name, value in batch["inputs"].items()}
    best, means = reference(model, batches, codebook_codes(pretraining), 3)
    assert_same_codes(store, best)
    torch.testing.assert_close(store.tonal_embeddings, means, rtol=1e-4, atol=1e-5)
    assert store.settings["rows_per_class"]["angry"] == 3


def test_refusals(pretraining):
    batches = make_batches()
    without_sad = [
        {"labels": b["labels"][:3], "texts": b["texts"][:3], "inputs": {k: v[:3] for k, v in b["inputs"].items()}}
        for b in batches
    ]
    with pytest.raises(ValueError, match="no training rows for class sad"):
        build(make_model(), make_processor(), without_sad, pretraining)
    for batch in batches:
        batch["inputs"]["audio_attention_mask"][3] = 0
    with pytest.raises(ValueError, match="no tonal codes for class sad: its training rows have no audio"):
        build(make_model(), make_processor(), batches, pretraining)
    with pytest.raises(ValueError, match="needs a speech checkpoint with a quantizer"):
        build(make_model(), make_processor(), make_batches())
    contrastive = make_model(tonal_space="contrastive", tonal_dim=10)
    with pytest.raises(ValueError, match="tonal_space='contrastive' needs the codebook"):
        build(contrastive, make_processor(), make_batches(), pretraining, discretizer="kmeans")
    with pytest.raises(ValueError, match="is for encoders on log-mel frames"):
        build(make_model(), make_processor(), make_batches(), discretizer="kmeans", kmeans_features="input")
    speech_only = make_model(modalities=["speech"], tonal_label_init="bert")
    with pytest.raises(ValueError, match="needs a text encoder"):
        build(speech_only, make_processor(), make_batches())
    deaf = [{**batch, "inputs": None} for batch in make_batches()]
    with pytest.raises(ValueError, match="no tonal codes for class angry, happy, neutral, sad"):
        build(make_model(), make_processor(), deaf, pretraining)


@pytest.mark.parametrize("language", LANGUAGES)
def test_keywords_of_every_language_are_its_salient_words(language):
    """Angry and sad against happy in the generated corpus; nothing here knows the language."""
    valences = {"angry": -1, "happy": 1, "sad": -1}
    texts = [
        write_sentence(9, 2, valences[label], np.random.default_rng([turn, number]), language=language).text
        for turn in range(200)
        for number, label in enumerate(valences)
    ]
    batches = [{"labels": [0, 1, 2], "texts": texts[start : start + 3], "inputs": None} for start in range(0, 600, 3)]
    tokenizer = train_tokenizer(texts, 300)
    text_config = tiny_text_config(vocab_size=len(tokenizer))
    model = LeMerForEmotionClassification(
        LeMerConfig(text_config=text_config, modalities=["text"], id2label=dict(enumerate(valences)))
    )
    processor = MerProcessor(feature_extractor_for("wav2vec2"), tokenizer, max_text_tokens=40)
    arguments = LabelStoreArguments(text_top_k=5)
    store = build_label_store(model.eval(), processor, batches, list(valences), arguments, progress=False)
    for label, valence in valences.items():
        salient = {word.lower() for words in LANGUAGES[language].valence_words[valence].values() for word in words}
        found = [word for word, _ in store.keywords[label]]
        assert len(set(found) & salient) >= 4, found
    assert torch.isfinite(store.text_embeddings).all()
    assert store.text_embeddings.shape[0] == 3
