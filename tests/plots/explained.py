"""Parts of explanations for tests, with nothing but what a value needs."""


def place(value, error=0.0, **more):
    """A word, segment or span."""
    return {"value": value, "error": error, **more}


def explanation(words=(), segments=(), spans=(), modalities=(0.3,)):
    """As far as colours and factors are concerned."""
    return {
        "words": list(words),
        "segments": list(segments),
        "video_spans": list(spans),
        "modalities": dict(zip("abcd", modalities, strict=False)),
    }
