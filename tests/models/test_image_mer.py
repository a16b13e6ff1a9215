"""Image processors that need neither torchvision nor timm, and faces found by a real detector."""

import json
import sys

import numpy as np
import pytest
import transformers
from media_files import image_processor

from hf_mer.models import MerProcessor, image_mer
from hf_mer.models.image_mer import (
    crop_faces,
    image_processor_from_dict,
    load_image_processor,
    normalize,
    resize,
    timm_image_processor,
)

FRAMES = np.random.default_rng(0).integers(0, 256, size=(3, 40, 60, 3), dtype=np.uint8)
BACKGROUND, SKIN, DARK = 60, (210, 170, 150), (45, 28, 24)


def to_pixels(frames, processor):
    return normalize(resize(frames, processor), processor)


def draw_head(frame, centre, radius):
    """A face as the detector knows it: dark hair and eyes, bright cheeks, a mouth."""
    cv2 = pytest.importorskip("cv2")

    def oval(x, y, width, height, colour):
        at = (round(centre[0] + x * radius), round(centre[1] + y * radius))
        cv2.ellipse(frame, at, (round(width * radius), round(height * radius)), 0, 0, 360, colour, -1)

    oval(0, 0, 1.0, 1.3, SKIN)
    oval(0, -0.95, 1.0, 0.45, DARK)
    for side in (-1, 1):
        oval(0.4 * side, -0.22, 0.26, 0.13, DARK)
        oval(0.4 * side, -0.4, 0.3, 0.06, DARK)
    oval(0, 0.25, 0.16, 0.09, (150, 110, 95))
    oval(0, 0.65, 0.4, 0.12, (120, 50, 50))
    frame[:] = cv2.GaussianBlur(frame, (7, 7), 0)


class TestImageProcessors:
    def test_round_trip(self):
        processor = image_processor()
        again = image_processor_from_dict(json.loads(json.dumps(processor.to_dict())))
        assert type(again).__name__ == "EfficientNetImageProcessorPil"
        pixels = to_pixels(list(FRAMES), again)
        assert pixels.shape == (3, 3, 16, 16)
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels, to_pixels(list(FRAMES), processor))
        with pytest.raises(ValueError, match="'NoSuchProcessor' is not an image processor"):
            image_processor_from_dict({"image_processor_type": "NoSuchProcessor"})

    @pytest.mark.parametrize(
        ("name", "settings"),
        [
            ("EfficientNetImageProcessorPil", {"size": {"height": 16, "width": 16}, "include_top": True}),
            ("ConvNextImageProcessorPil", {"size": {"shortest_edge": 16}}),
            ("ViTImageProcessorPil", {"size": {"height": 16, "width": 16}}),
            ("BitImageProcessorPil", {"size": {"shortest_edge": 24}, "crop_size": {"height": 16, "width": 16}}),
        ],
    )
    def test_in_two_steps_as_in_one(self, name, settings):
        """A byte a pixel is kept between resizing and normalising, and nothing is lost."""
        processor = getattr(transformers, name)(**settings)
        resized = resize(list(FRAMES), processor)
        assert resized.shape == (3, 3, 16, 16)
        assert resized.dtype == np.uint8
        once = processor(images=list(FRAMES), return_tensors="np", input_data_format="channels_last")["pixel_values"]
        np.testing.assert_allclose(normalize(resized, processor), once, atol=1e-6)

    def test_values(self):
        """0 to 255 becomes -1 to 1 (mean and deviation 0.5)."""
        plain = [np.full((4, 6, 3), value, np.uint8) for value in (0, 255)]
        assert [frame.mean() for frame in to_pixels(plain, image_processor())] == pytest.approx([-1.0, 1.0])

    def test_a_picture_three_pixels_high_is_not_taken_for_channels(self):
        assert to_pixels([np.zeros((3, 7, 3), np.uint8)], image_processor()).shape == (1, 3, 16, 16)

    def test_loaded_in_its_pillow_version(self, tmp_path):
        image_processor().save_pretrained(tmp_path)
        assert type(load_image_processor(str(tmp_path))).__name__ == "EfficientNetImageProcessorPil"

    @pytest.mark.parametrize("mode", ["center", "squash"])
    @pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
    def test_timm_transforms_are_written_out(self, mode, interpolation):
        data = pytest.importorskip("timm.data")
        from PIL import Image

        config = {
            "input_size": (3, 32, 32), "interpolation": interpolation, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.2),
            "crop_pct": 0.875, "crop_mode": mode,
        }  # fmt: skip
        transform = data.create_transform(**config, is_training=False)
        expected = np.stack([transform(Image.fromarray(frame)).numpy() for frame in FRAMES])
        np.testing.assert_allclose(to_pixels(list(FRAMES), timm_image_processor(config)), expected, atol=1e-5)

    def test_timm_checkpoints(self, tmp_path):
        pytest.importorskip("timm")
        architecture = {"architecture": "efficientnet_b0", "model_type": "timm_wrapper", "num_classes": 0}
        pretrained = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.2] * 3, "crop_pct": 1.0}
        (tmp_path / "config.json").write_text(json.dumps({**architecture, "pretrained_cfg": pretrained}))
        processor = load_image_processor(str(tmp_path))
        assert isinstance(processor, transformers.BitImageProcessorPil)
        assert to_pixels(list(FRAMES), processor).shape == (3, 3, 32, 32)
        with pytest.raises(ValueError, match="crop mode 'border' at 32 x 32 is not supported"):
            timm_image_processor({**pretrained, "crop_mode": "border"})


class TestFaces:
    def test_the_largest_face_of_every_frame(self):
        frames = np.full((3, 300, 480, 3), BACKGROUND, np.uint8)
        draw_head(frames[0], (140, 150), 70)
        draw_head(frames[2], (350, 150), 70)
        crops = crop_faces(frames)
        for crop, frame in ((crops[0], frames[0]), (crops[2], frames[2])):
            assert 130 < crop.shape[0] < 300
            assert 130 < crop.shape[1] < 280
            skin, whole = ((np.abs(picture.astype(int) - SKIN).max(-1) < 5).sum() for picture in (crop, frame))
            assert skin > 0.95 * whole > 5000
        assert (crops[1] == BACKGROUND).all()  # nobody there: cut where the neighbour has a face
        assert crops[1].shape == crops[0].shape

    def test_without_a_face_frames_stay_whole(self):
        pytest.importorskip("cv2")
        crops = crop_faces(FRAMES)
        assert len(crops) == 3
        for crop, frame in zip(crops, FRAMES, strict=True):
            np.testing.assert_array_equal(crop, frame)

    def test_frames_without_a_face_use_the_nearest_box(self, monkeypatch):
        boxes = iter([None, (10, 10, 20, 20), None, None, (30, 5, 10, 10), None])
        monkeypatch.setattr(image_mer, "load_face_detector", lambda: (None, None))
        monkeypatch.setattr(image_mer, "_largest_face", lambda *_: next(boxes))
        frames = np.random.default_rng(0).integers(0, 256, size=(6, 40, 60, 3), dtype=np.uint8)
        crops = crop_faces(frames)
        for index in (0, 1, 2):
            np.testing.assert_array_equal(crops[index], frames[index, 6:34, 6:34])  # margin of 0.2 times 20
        for index in (3, 4, 5):
            np.testing.assert_array_equal(crops[index], frames[index, 3:17, 28:42])

    def test_a_box_at_the_edge(self, monkeypatch):
        monkeypatch.setattr(image_mer, "load_face_detector", lambda: (None, None))
        monkeypatch.setattr(image_mer, "_largest_face", lambda *_: (0, 30, 10, 10))
        assert crop_faces(FRAMES)[0].shape == (12, 12, 3)

    @pytest.mark.parametrize("version", [None, object()])
    def test_no_detector(self, monkeypatch, version, wave_extractor, tokenizer):
        """Neither without OpenCV nor with OpenCV 5, which has no cascades."""
        monkeypatch.setitem(sys.modules, "cv2", version)
        with pytest.raises(ImportError, match="opencv-python-headless<5"):
            crop_faces(FRAMES)
        with pytest.raises(ImportError, match="or set face_crop=False"):
            MerProcessor(wave_extractor, tokenizer, image_processor=image_processor(), face_crop=True)
