import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def corners(text):
    """Corners of a text's box in pixels, turned as the text is. Shape (4, 2)."""
    degrees = text.get_rotation()
    if degrees % 90 == 0:
        return text.get_window_extent().corners()[[0, 1, 3, 2]]
    assert text.get_rotation_mode() == "anchor"
    text.set_rotation(0)
    box = text.get_window_extent().corners()[[0, 1, 3, 2]]
    text.set_rotation(degrees)
    anchor = text.get_transform().transform(text.get_position())
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (box - anchor) @ turn + anchor


def overlap(one, other, tolerance=0.5):
    """Whether two convex quadrilaterals overlap by more than the tolerance (pixels): no side separates them."""
    for box in (one, other):
        sides = np.roll(box, -1, axis=0) - box
        for side in sides[:2]:
            normal = np.array([-side[1], side[0]]) / np.linalg.norm(side)
            first, second = one @ normal, other @ normal
            if first.max() - tolerance <= second.min() or second.max() - tolerance <= first.min():
                return False
    return True


@pytest.fixture
def drawn_texts(monkeypatch):
    """A function that draws a figure and gives what was written, after checking that all of it can be read.

    No two texts overlap, and none leaves the figure.
    """

    def draw(figure):
        drawn = []
        original = Text.draw

        def record(self, renderer):
            if self.get_visible() and self.get_text().strip() and self not in drawn:
                drawn.append(self)
            return original(self, renderer)

        canvas = FigureCanvasAgg(figure)
        with monkeypatch.context() as patch:
            patch.setattr(Text, "draw", record)
            canvas.draw()
        boxes = [corners(text) for text in drawn]
        width, height = canvas.get_width_height()
        for text, box in zip(drawn, boxes, strict=True):
            inside = (box >= -0.5).all() and (box <= [width + 0.5, height + 0.5]).all()
            assert inside, f"{text.get_text()!r} leaves the figure ({width} x {height}): {box.round().tolist()}"
        for (one, box), (other, other_box) in itertools.combinations(zip(drawn, boxes, strict=True), 2):
            assert not overlap(box, other_box), f"{one.get_text()!r} and {other.get_text()!r} overlap"
        return [text.get_text() for text in drawn]

    return draw
