"""Short clips, written with PyAV, whose frames can be told apart by their brightness."""

from fractions import Fraction

import av
import numpy as np
from model_tester import tone

MILLISECONDS = Fraction(1, 1000)


def write_clip(
    path, seconds=1.6, rate=25, size=(64, 48), codec="libx264", sound=True, stamps=None, split=False, options=None
):
    """Writes a clip; frame `i` is grey of brightness `20 + 5 i` (beginning again after 40 frames).

    Args:
        path: Its ending says the container.
        seconds: Of picture and of sound.
        rate: Frames per second.
        size: Width and height.
        codec: `libx264`, `mpeg4`, or None for no picture.
        sound: Whether there is sound, a tone of 220 Hz.
        stamps: Milliseconds of each frame instead of a steady rate.
        split: Whether the right half is darker by 15.
        options: Of the container.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        picture = container.add_stream(codec, rate=rate) if codec else None
        voice = (
            container.add_stream("aac" if codec != "mpeg4" else "mp3", rate=16000, layout="mono") if sound else None
        )
        if picture is not None:
            picture.width, picture.height = size
            picture.pix_fmt = "yuv420p"
            picture.codec_context.gop_size = 12
            picture.bit_rate = 4_000_000
            if stamps is not None:
                picture.codec_context.time_base = MILLISECONDS
            container.start_encoding()  # for clips without a frame
            for index in range(round(seconds * rate) if stamps is None else len(stamps)):
                image = np.full((size[1], size[0], 3), brightness(index), np.uint8)
                if split:
                    image[:, size[0] // 2 :] -= 15
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.time_base = Fraction(1, rate) if stamps is None else MILLISECONDS
                frame.pts = index if stamps is None else stamps[index]
                container.mux(picture.encode(frame))
            container.mux(picture.encode())
        if voice is not None:
            samples = (tone(seconds)[None] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, 0
            container.mux(voice.encode(frame))
            container.mux(voice.encode())


def brightness(index):
    return 20 + 5 * (index % 40)


def shown(frames):
    """Which frames these are, by their brightness. Shape `(F, H, W, 3)` to a list of F numbers."""
    return [round((float(frame.mean()) - 20) / 5) for frame in frames]


def image_processor(size=16):
    """An image processor of EfficientNet that makes pictures of `size` times `size`."""
    from transformers import EfficientNetImageProcessorPil

    return EfficientNetImageProcessorPil(size={"height": size, "width": size}, include_top=False)


def save_film_checkpoint(folder, **config):
    """Writes a tiny WavFusion for text, speech and video with its processor into a folder; gives the folder."""
    import torch
    from model_tester import tiny_settings, tiny_tokenizer, tiny_video_config, wave_feature_extractor

    from hf_mer.models import MerProcessor, WavFusionConfig, WavFusionForEmotionClassification

    torch.manual_seed(0)
    settings = {
        "video_config": tiny_video_config(), "num_deep_layers": 1, "auxiliary_heads": 2, "video_dim": 8,
        "lvc_codewords": 5, "shared_dim": 6,
    }  # fmt: skip
    model = WavFusionForEmotionClassification(WavFusionConfig(**{**tiny_settings(), **settings, **config}))
    model.eval().save_pretrained(folder)
    processor = MerProcessor(
        wave_feature_extractor(), tiny_tokenizer(), max_text_tokens=40, image_processor=image_processor(), num_frames=4
    )
    processor.save_pretrained(folder)
    return str(folder)
