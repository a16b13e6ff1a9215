"""A drawn face: a talking head whose only message is one binary cue, shown by brows, eyes and mouth.

The cue is the dominance that the face shows. High: brows lowered and knit, eyes narrowed, mouth stretched wide over
the teeth (as in anger, disgust, a broad grin). Low: inner brows raised, eyes wide, mouth small and round (as in fear,
surprise, sadness). It is shown in one *salient* segment of the clip; the rest is the speaker's neutral face. Colours,
shapes, head movement, blinking and speech movements are drawn before the cue is looked at, so that identity and
everything else tells nothing.
"""

from dataclasses import dataclass

import numpy as np

_SKINS = np.array([[250, 218, 190], [238, 195, 160], [214, 163, 122], [168, 115, 78], [120, 78, 52]]) / 255
_HAIRS = np.array([[38, 28, 24], [84, 54, 32], [140, 90, 44], [206, 166, 96], [150, 62, 30], [150, 150, 152]]) / 255
_IRISES = np.array([[70, 110, 160], [86, 60, 36], [74, 110, 70], [100, 106, 112]]) / 255
_WHITE = np.array([0.97, 0.97, 0.95])
_DARK = np.array([0.16, 0.06, 0.07])


@dataclass(frozen=True)
class Face:
    """What tells one drawn speaker from another. Lengths in halves of the picture's height, colours RGB from 0 to 1.

    Attributes:
        skin: Colour.
        hair: Colour of hair and brows.
        iris: Colour.
        lips: Colour.
        shirt: Colour.
        background: Colour.
        width: Half-width of the head.
        height: Half-height of the head.
        jaw: How square it is below: 0 is an ellipse.
        hairline: Height of the forehead below the top of the head.
        long_hair: How far the hair falls beside the face.
        eye_distance: From the middle.
        eye_size: Factor.
        brow_height: Above the eyes.
        brow_slope: Of the neutral brow; positive if the outer end is higher.
        brow_thickness: Half of it.
        mouth_width: Half-width of the neutral mouth.
        mouth_curve: How far the corners of the mouth hang; negative if they rise.
        glasses: Whether there are any.
    """

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    shirt: np.ndarray
    background: np.ndarray
    width: float
    height: float
    jaw: float
    hairline: float
    long_hair: float
    eye_distance: float
    eye_size: float
    brow_height: float
    brow_slope: float
    brow_thickness: float
    mouth_width: float
    mouth_curve: float
    glasses: bool


@dataclass(frozen=True)
class FaceSettings:
    """Settings of the picture that do not belong to a speaker.

    Attributes:
        size: Height and width, pixels; even.
        fps: Frames per second.
        salient_share: Least and greatest share of the clip that shows the cue.
        cue_strength: Factor on the expression; 0 leaves none.
        movement: Factor on head movements.
    """

    size: int = 80
    fps: int = 8
    salient_share: tuple[float, float] = (0.35, 0.55)
    cue_strength: float = 1.0
    movement: float = 1.0


@dataclass(frozen=True)
class Film:
    """A clip of a talking face and where its cue is.

    Attributes:
        frames: uint8. Shape `(F, size, size, 3)`.
        fps: Frames per second.
        salient_span: Start and end of the segment with the expression, seconds.
    """

    frames: np.ndarray
    fps: int
    salient_span: tuple[float, float]


@dataclass(frozen=True)
class _Pose:
    """Movements by frame, each of shape `(F, 1, 1)`."""

    shift_x: np.ndarray
    shift_y: np.ndarray
    roll: np.ndarray
    zoom: float
    light: float
    eyes_open: np.ndarray
    gaze: np.ndarray
    talk: np.ndarray
    expression: np.ndarray


def draw_face(rng: np.random.Generator, *, female: bool) -> Face:
    """Draw a speaker's looks.

    Args:
        rng: Source of randomness.
        female: Whether the hair is long, lips are red, and brows thin.
    """
    skin = _SKINS[rng.integers(len(_SKINS))] * rng.uniform(0.94, 1.03)
    tint = np.array([0.86, 0.42, 0.42]) if female else skin * np.array([0.82, 0.66, 0.62])
    return Face(
        skin=np.clip(skin, 0, 1),
        hair=_HAIRS[rng.integers(len(_HAIRS))] * rng.uniform(0.8, 1.15),
        iris=_IRISES[rng.integers(len(_IRISES))],
        lips=0.6 * tint + 0.4 * skin * np.array([0.85, 0.6, 0.58]),
        shirt=rng.uniform(0.15, 0.85, 3),
        background=0.5 * rng.uniform(0.3, 0.9) + 0.5 * rng.uniform(0.3, 0.9, 3),
        width=rng.uniform(0.52, 0.62),
        height=rng.uniform(0.72, 0.80),
        jaw=rng.uniform(0.0, 0.12) if female else rng.uniform(0.12, 0.3),
        hairline=rng.uniform(0.12, 0.22),
        long_hair=rng.uniform(0.5, 1.0) if female else rng.uniform(-0.1, 0.1),
        eye_distance=rng.uniform(0.22, 0.27),
        eye_size=rng.uniform(0.9, 1.15),
        brow_height=rng.uniform(0.17, 0.21),
        brow_slope=rng.uniform(-0.1, 0.1),
        brow_thickness=rng.uniform(0.022, 0.03) if female else rng.uniform(0.03, 0.042),
        mouth_width=rng.uniform(0.18, 0.23),
        mouth_curve=rng.uniform(-0.035, 0.005),
        glasses=bool(rng.random() < 0.2),
    )


def film(
    face: Face,
    duration: float,
    cue: int,
    word_spans: np.ndarray,
    rng: np.random.Generator,
    settings: FaceSettings | None = None,
) -> Film:
    """Draw a speaker who talks for `duration` seconds.

    Args:
        face: The speaker.
        duration: Seconds.
        cue: 1 for high dominance, -1 for low, 0 for none. Nothing else in the clip depends on it.
        word_spans: When the mouth moves, seconds. Shape `(words, 2)`.
        rng: Source of randomness; the same state gives the same frames.
        settings: Defaults to `FaceSettings()`.
    """
    settings = settings or FaceSettings()
    times = (np.arange(max(1, round(duration * settings.fps))) + 0.5) / settings.fps  # (F,)
    share = rng.uniform(*settings.salient_share)
    start = rng.uniform(0, 1 - share) * duration
    span = (start, start + share * duration)
    pose = _draw_pose(times, span, cue * settings.cue_strength, word_spans, rng, settings)
    return Film(_draw(face, pose, settings.size), settings.fps, span)


def _draw_pose(
    times: np.ndarray,
    span: tuple[float, float],
    strength: float,
    word_spans: np.ndarray,
    rng: np.random.Generator,
    settings: FaceSettings,
) -> _Pose:
    """Head movement, blinks, speech movements and the expression's rise and fall."""

    def sway(size: float) -> np.ndarray:
        rate, phase = rng.uniform(0.15, 0.5), rng.uniform(0, 2 * np.pi)
        return size * settings.movement * np.sin(2 * np.pi * rate * times + phase)

    shift_x, shift_y, roll = sway(0.05) + rng.uniform(-0.05, 0.05), sway(0.03) + rng.uniform(-0.04, 0.04), sway(0.06)
    blinks = rng.uniform(0, times[-1], rng.integers(0, 3))
    closed = (np.abs(times[:, None] - blinks) < 0.07).any(axis=1)
    gaze = np.interp(times, np.linspace(0, times[-1] + 1e-6, 4), rng.uniform(-1, 1, 4))
    talking = ((times[:, None] >= word_spans[:, 0]) & (times[:, None] < word_spans[:, 1])).any(axis=1)
    talk = talking * rng.uniform(0.3, 1.0, len(times))
    rise = np.interp(times, [span[0], span[0] + 0.12, span[1] - 0.12, span[1]], [0, 1, 1, 0], left=0, right=0)
    column = (len(times), 1, 1)
    return _Pose(
        shift_x.astype(np.float32).reshape(column),
        shift_y.astype(np.float32).reshape(column),
        roll.astype(np.float32).reshape(column),
        zoom=rng.uniform(0.93, 1.07),
        light=rng.uniform(0.88, 1.08),
        eyes_open=np.where(closed, 0.08, 1.0).astype(np.float32).reshape(column),
        gaze=gaze.astype(np.float32).reshape(column),
        talk=talk.astype(np.float32).reshape(column),
        expression=(strength * rise).astype(np.float32).reshape(column),
    )


class _Canvas:
    """Frames in the making, with coordinates that move with the head.

    Coordinates run from -1 to 1 across the picture, `v` downwards; `edge` is the width of a pixel in them.
    """

    def __init__(self, pose: _Pose, size: int, background: np.ndarray):
        steps = (np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1
        down, across = np.meshgrid(steps, steps, indexing="ij")
        self.edge = 2 / size
        self.size = size
        x = (across - pose.shift_x) * np.float32(1 / pose.zoom)
        y = (down - pose.shift_y) * np.float32(1 / pose.zoom)
        cosine, sine = np.cos(pose.roll), np.sin(pose.roll)
        self.u = x * cosine + y * sine  # (F, H, W)
        self.v = y * cosine - x * sine
        shade = (1.05 - 0.15 * down)[None, None]
        still = (background[:, None, None, None] * shade).astype(np.float32)
        # colours first: NumPy is slow where the last axis is short
        self.pixels = np.repeat(still, len(pose.roll), axis=1)  # (3, F, H, W)

    def window(self, u: tuple[float, float], v: tuple[float, float]) -> tuple[slice, slice, slice]:
        """The part of the picture that may hold what lies between these coordinates, for any movement."""
        margin = 0.2

        def pixels(low: float, high: float) -> slice:
            first, last = ((np.array([low - margin, high + margin]) * 1.07 + 1) / 2 * self.size).astype(int)
            return slice(max(0, int(first)), min(self.size, int(last) + 1))

        return slice(None), pixels(*v), pixels(*u)

    def paint(self, window: tuple[slice, slice, slice], distance: np.ndarray, colour: np.ndarray, share: float = 1.0):
        """Lay a colour where `distance` (in coordinates, negative inside) says, with a soft edge of a pixel."""
        alpha = distance * np.float32(-1 / self.edge)
        alpha += np.float32(0.5)
        np.clip(alpha, 0, 1, out=alpha)
        if share != 1:
            alpha *= np.float32(share)
        planes = (slice(None), *window)
        part = self.pixels[planes]
        part += alpha * (colour.astype(np.float32)[:, None, None, None] - part)


def _ellipse(u: np.ndarray, v: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> np.ndarray:
    """Distance from an ellipse round the origin, near enough at its edge."""
    across, down = u / np.float32(width), v / np.float32(height)
    return (np.sqrt(across * across + down * down) - np.float32(1)) * np.float32(np.minimum(width, height))


def _draw(face: Face, pose: _Pose, size: int) -> np.ndarray:
    """Frames, uint8. Shape `(F, size, size, 3)`."""
    canvas = _Canvas(pose, size, face.background)
    _draw_head(canvas, face)
    for side in (-1, 1):
        _draw_eye(canvas, face, pose, side)
        _draw_brow(canvas, face, pose, side)
    _draw_mouth(canvas, face, pose)
    pixels = (np.clip(canvas.pixels * np.float32(pose.light), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


def _draw_head(canvas: _Canvas, face: Face) -> None:
    """Shoulders, hair, neck, head, nose."""
    u, v = canvas.u, canvas.v
    everything = (slice(None), slice(None), slice(None))
    below = canvas.window((-1.2, 1.2), (0.4, 1.2))
    low = np.maximum(v, 0)
    fall = np.maximum(v - 0.7 * face.long_hair, 0) * 4 if face.long_hair > 0.3 else low * 6
    canvas.paint(everything, _ellipse(u, v + 0.06, face.width + 0.12, face.height + 0.12) + fall, face.hair)
    canvas.paint(below, _ellipse(u[below], v[below] - 1.3, 0.95, 0.5), face.shirt)
    canvas.paint(below, np.maximum(np.abs(u[below]) - 0.24, v[below] - 0.95), face.skin * 0.86)
    head = _ellipse(u * (1 - face.jaw * low), v, face.width, face.height)
    canvas.paint(everything, head, face.skin)
    above = canvas.window((-0.8, 0.8), (-1.0, -0.1))
    hairline = v[above] + face.height - face.hairline - 0.25 * u[above] * u[above] / face.width
    canvas.paint(above, np.maximum(hairline, head[above] - 2 * canvas.edge), face.hair)
    nose = canvas.window((-0.12, 0.12), (-0.1, 0.25))
    bridge = np.maximum(np.abs(u[nose]) - 0.03 - 0.05 * (v[nose] + 0.1), np.abs(v[nose] - 0.04) - 0.14)
    canvas.paint(nose, bridge, face.skin * 0.93)
    canvas.paint(nose, _ellipse(u[nose], v[nose] - 0.18, 0.085, 0.028), face.skin * 0.74)


def _draw_eye(canvas: _Canvas, face: Face, pose: _Pose, side: int) -> None:
    """White, iris, pupil, the lid's edge, perhaps glasses."""
    window = canvas.window((side * face.eye_distance - 0.2, side * face.eye_distance + 0.2), (-0.35, 0.05))
    u, v = canvas.u[window] - side * face.eye_distance, canvas.v[window] + 0.14
    expression = pose.expression
    opening = 0.085 * face.eye_size * (1 - 0.42 * np.maximum(expression, 0) + 0.4 * np.maximum(-expression, 0))
    height = np.maximum(opening * pose.eyes_open, 0.012).astype(np.float32)
    width = 0.135 * face.eye_size
    white = _ellipse(u, v, width, height)
    canvas.paint(window, _ellipse(u, v, width + 0.02, height + 0.022), face.hair * 0.35 + face.skin * 0.25)
    canvas.paint(window, white, _WHITE)
    iris = _ellipse(u - 0.03 * pose.gaze, v, 0.066 * face.eye_size, 0.066 * face.eye_size)
    canvas.paint(window, np.maximum(iris, white), face.iris)
    canvas.paint(window, np.maximum(iris + 0.034, white), _DARK)
    if face.glasses:
        canvas.paint(window, np.abs(_ellipse(u, v - 0.01, 0.19, 0.15)) - 0.012, _DARK, 0.8)


def _draw_brow(canvas: _Canvas, face: Face, pose: _Pose, side: int) -> None:
    """A bent stroke. High dominance lowers it, above all at its inner end; low raises the inner end."""
    window = canvas.window((side * face.eye_distance - 0.25, side * face.eye_distance + 0.25), (-0.62, -0.1))
    expression = pose.expression
    knit = 0.05 * np.maximum(expression, 0)
    along = side * canvas.u[window] - face.eye_distance + knit  # from the inner end (negative) to the outer
    lift = 0.12 * np.maximum(-expression, 0) - 0.075 * np.maximum(expression, 0)
    slope = face.brow_slope - 0.12 + 0.62 * np.maximum(expression, 0) - 0.55 * np.maximum(-expression, 0)
    height = 0.14 + face.brow_height + lift + slope * along - 1.4 * along * along
    distance = np.maximum(np.abs(canvas.v[window] + height) - face.brow_thickness, np.abs(along) - 0.165)
    canvas.paint(window, distance.astype(np.float32), face.hair * 0.4)


def _draw_mouth(canvas: _Canvas, face: Face, pose: _Pose) -> None:
    """Lips round a dark opening, with teeth where it is stretched."""
    window = canvas.window((-0.45, 0.45), (0.2, 0.75))
    u, v = canvas.u[window], canvas.v[window] - 0.42
    high, low = np.maximum(pose.expression, 0), np.maximum(-pose.expression, 0)
    width = face.mouth_width * (1 + 0.55 * high - 0.42 * low)
    opening = 0.012 + 0.06 * pose.talk * (1 - 0.5 * high) + 0.055 * high + 0.10 * low
    bend = v - face.mouth_curve * (u / width) ** 2
    inside = _ellipse(u, bend, width, opening).astype(np.float32)
    lips = _ellipse(u, bend, width + 0.035, opening + 0.05).astype(np.float32)
    canvas.paint(window, lips, face.lips)
    canvas.paint(window, inside, _DARK)
    teeth = np.maximum(inside + 0.012, np.abs(bend + 0.25 * opening) - (0.6 * high + 0.12) * opening)
    canvas.paint(window, teeth.astype(np.float32), _WHITE)
