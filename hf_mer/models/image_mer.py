"""From frames to the pixels that a video encoder takes: image processors, and faces cut out where that is wanted.

This file travels with a checkpoint. Image processors work on NumPy and Pillow, so that pixels are the same whether
torchvision is installed or not.
"""

import math
from typing import Any

import numpy as np
import transformers

_MARGIN = 0.2  # of the face's width, on each side: detectors cut at the brows and the chin


def load_image_processor(name_or_path: str, **kwargs: Any) -> Any:
    """The image processor of an encoder, in its Pillow version where it has one.

    A timm model (`timm/efficientnet_b0.ra_in1k` for one) brings transforms of its own that need timm and torchvision;
    they are written out as an ordinary image processor of the same resizing, cropping and normalisation.

    Args:
        name_or_path: Repository or folder.
        **kwargs: For `AutoImageProcessor.from_pretrained`.
    """
    processor = transformers.AutoImageProcessor.from_pretrained(name_or_path, backend="pil", **kwargs)
    config = getattr(processor, "data_config", None)
    return processor if config is None else timm_image_processor(config)


def timm_image_processor(data_config: dict[str, Any]) -> Any:
    """What timm does to a picture before evaluation, as an image processor of transformers.

    Args:
        data_config: `input_size`, `interpolation`, `mean`, `std`, `crop_pct`, `crop_mode`, as timm resolves them.

    Raises:
        ValueError: If the crop mode is neither `center` nor `squash`.
    """
    _, height, width = data_config["input_size"]
    mode, share = data_config.get("crop_mode") or "center", data_config.get("crop_pct") or 0.875
    if mode not in ("center", "squash") or (mode == "center" and height != width):
        raise ValueError(f"crop mode {mode!r} at {height} x {width} is not supported; it must be 'center' or 'squash'")
    scaled = {"height": math.floor(height / share), "width": math.floor(width / share)}
    return transformers.BitImageProcessorPil(
        size=scaled if mode == "squash" else {"shortest_edge": scaled["height"]},
        crop_size={"height": height, "width": width},
        resample={"bilinear": 2, "bicubic": 3}.get(data_config.get("interpolation", "bicubic"), 3),
        image_mean=list(data_config["mean"]),
        image_std=list(data_config["std"]),
        do_resize=True,
        do_center_crop=True,
        do_rescale=True,
        do_normalize=True,
    )


def image_processor_from_dict(settings: dict[str, Any]) -> Any:
    """An image processor out of what its `to_dict` said.

    Raises:
        ValueError: If transformers has no such class.
    """
    name = settings.get("image_processor_type", "")
    for candidate in (f"{name}Pil", name):
        image_processor_class = getattr(transformers, candidate, None)
        if image_processor_class is not None:
            return image_processor_class.from_dict(settings)
    raise ValueError(
        f"image_processor_type {name!r} is not an image processor of transformers {transformers.__version__}"
    )


def resize(frames: list[np.ndarray], image_processor: Any) -> np.ndarray:
    """Frames as the encoder wants them but for their values. Shape `(F, 3, H, W)`, uint8."""
    settings = {"do_rescale": False, "do_normalize": False, "input_data_format": "channels_last"}
    if hasattr(image_processor, "include_top"):  # EfficientNet's second normalisation
        settings["include_top"] = False
    resized = image_processor(images=frames, return_tensors="np", **settings)["pixel_values"]
    return np.asarray(resized).astype(np.uint8)


def normalize(resized: np.ndarray, image_processor: Any) -> np.ndarray:
    """Pixels of frames that `resize` has made. Shape `(F, 3, H, W)`, float32."""
    settings = {"return_tensors": "np", "input_data_format": "channels_first"}
    pixels = image_processor(images=list(resized), do_resize=False, do_center_crop=False, **settings)["pixel_values"]
    return np.asarray(pixels, dtype=np.float32)


def crop_faces(frames: np.ndarray) -> list[np.ndarray]:
    """Cuts the largest face out of every frame, a square with some margin.

    A frame in which no face is found is cut where the nearest frame in time has its face; if none has one, all frames
    stay whole. The detector is OpenCV's cascade for frontal faces, which is part of its wheel.

    Args:
        frames: Shape `(F, H, W, 3)`, uint8.

    Returns:
        One picture per frame, of its own size.

    Raises:
        ImportError: If there is no detector.
    """
    opencv, detector = load_face_detector()
    boxes = [_largest_face(opencv, detector, frame) for frame in frames]
    found = [index for index, box in enumerate(boxes) if box is not None]
    if not found:
        return list(frames)
    nearest = [min(found, key=lambda index: abs(index - position)) for position in range(len(frames))]
    return [_square(frame, boxes[index]) for frame, index in zip(frames, nearest, strict=True)]


def load_face_detector() -> tuple[Any, Any]:
    """OpenCV and its detector; the module is imported here because it is large and rarely wanted.

    Raises:
        ImportError: If OpenCV is missing, or is a version without the detector.
    """
    opencv: Any
    try:
        import cv2

        opencv = cv2
    except ImportError:
        opencv = None
    if not hasattr(opencv, "CascadeClassifier"):
        raise ImportError(
            "Cropping faces needs the detector of OpenCV 4 (OpenCV 5 no longer has it): "
            '`pip install "opencv-python-headless<5"`, or set face_crop=False'
        )
    return opencv, opencv.CascadeClassifier(opencv.data.haarcascades + "haarcascade_frontalface_default.xml")


def _largest_face(opencv: Any, detector: Any, frame: np.ndarray) -> tuple[int, ...] | None:
    grey = opencv.cvtColor(frame, opencv.COLOR_RGB2GRAY)
    smallest = max(20, min(frame.shape[:2]) // 10)
    faces = detector.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(smallest, smallest))
    return max((tuple(map(int, face)) for face in faces), key=lambda face: face[2] * face[3], default=None)


def _square(frame: np.ndarray, box: Any) -> np.ndarray:
    """The box with its margin, as far as the frame goes."""
    left, top, width, height = box
    margin = round(_MARGIN * width)
    return frame[max(0, top - margin) : top + height + margin, max(0, left - margin) : left + width + margin]
