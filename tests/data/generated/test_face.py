"""The drawn face: only brows, eyes and mouth tell the cue, in the salient stretch alone."""

import numpy as np
import pytest

from hf_mer.data.generated.face import FaceSettings, draw_face, film

SPANS = np.array([[0.1, 0.5], [0.6, 1.0], [1.2, 1.8]])
STILL = FaceSettings(movement=0.0)


def clip(cue, speaker=0, seed=0, settings=None, female=True):
    face = draw_face(np.random.default_rng([speaker, 1]), female=female)
    return film(face, 2.0, cue, SPANS, np.random.default_rng(seed), settings)


def test_shape_and_determinism():
    one, again = clip(1), clip(1)
    assert one.frames.shape == (16, 80, 80, 3)
    assert one.frames.dtype == np.uint8
    assert one.fps == 8
    assert np.array_equal(one.frames, again.frames)
    assert clip(1, settings=FaceSettings(size=48, fps=10)).frames.shape == (20, 48, 48, 3)


@pytest.mark.parametrize("cue", [1, -1])
def test_the_cue_shows_in_its_stretch_only(cue):
    shown, plain = clip(cue), clip(0)
    assert shown.salient_span == plain.salient_span
    times = (np.arange(16) + 0.5) / 8
    salient = (times > shown.salient_span[0]) & (times < shown.salient_span[1])
    assert 4 <= salient.sum() <= 10
    differs = (shown.frames != plain.frames).any(axis=(1, 2, 3))
    assert np.array_equal(differs, salient)


@pytest.mark.parametrize("cue", [1, -1])
def test_the_cue_shows_in_brows_eyes_and_mouth_only(cue):
    shown, plain = clip(cue, settings=STILL), clip(0, settings=STILL)
    changed = (np.abs(shown.frames.astype(int) - plain.frames) > 30).any(axis=(0, 3))
    rows = np.flatnonzero(changed.any(axis=1)) / 80
    assert rows.min() > 0.15
    assert rows.max() < 0.9
    assert not changed[:, :8].any()
    assert not changed[:, -8:].any()
    assert changed[:40].sum() > 40  # brows and eyes
    assert changed[48:].sum() > 40  # mouth


def test_without_strength_there_is_no_cue():
    none = FaceSettings(cue_strength=0.0)
    assert np.array_equal(clip(1, settings=none).frames, clip(-1, settings=none).frames)


def test_the_mouth_speaks_with_the_words():
    frames = clip(0, settings=STILL).frames[:, 48:66, 24:56].astype(float)
    times = (np.arange(16) + 0.5) / 8
    talking = ((times[:, None] >= SPANS[:, 0]) & (times[:, None] < SPANS[:, 1])).any(axis=1)
    silent = frames[~talking]
    assert np.abs(silent - silent[0]).max() < 1
    assert all(np.abs(frame - silent[0]).max() > 30 for frame in frames[talking])


def test_a_linear_rule_on_small_pictures_tells_the_cue_of_other_speakers():
    from sklearn.linear_model import LogisticRegression

    def changes(speaker, cue):
        seed, female = 100 * speaker + cue + 1, speaker % 2 == 0
        frames = clip(cue, speaker, seed, FaceSettings(size=64), female).frames.mean(axis=3)
        grey = frames.reshape(len(frames), 32, 2, 32, 2).mean(axis=(2, 4))[:, 6:29, 6:26] / 255
        grey = grey - np.median(grey, axis=0)
        return np.concatenate([grey.max(axis=0).ravel(), grey.min(axis=0).ravel()])

    cues = np.tile([1, -1], 60)
    features = np.array([changes(place // 2, cue) for place, cue in enumerate(cues)])
    rule = LogisticRegression(C=0.1, max_iter=500).fit(features[:80], cues[:80])
    assert rule.score(features[80:], cues[80:]) >= 0.9


def test_speakers_look_different():
    pictures = [clip(0, speaker).frames[0].astype(int) for speaker in range(8)]
    differences = [np.abs(one - other).mean() for i, one in enumerate(pictures) for other in pictures[:i]]
    assert min(differences) > 5
