"""Draws examples/seven.png (dark on light) and examples/three-inverted.png (light on dark).

python -m models.zoo.draw_examples
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

EXAMPLES = Path(__file__).parents[2] / "examples"

Point = tuple[float, float]
Colour = tuple[int, int, int]

# Units are pixels of the finished image; it is drawn four times as large and averaged down, which smooths the edges.
_SIDE, _FINER, _PEN = 280, 4, 26


def main() -> None:
    EXAMPLES.mkdir(exist_ok=True)
    seven: list[Point] = [(78, 66), (204, 66), (128, 222)]
    three = _arc((138, 99), (42, 38), -160, 90) + _arc((138, 183), (50, 46), -90, 160)
    _draw(seven, paper=(250, 248, 242), ink=(28, 36, 64)).save(EXAMPLES / "seven.png", optimize=True)
    _draw(three, paper=(24, 28, 36), ink=(240, 240, 232)).save(EXAMPLES / "three-inverted.png", optimize=True)


def _arc(centre: Point, radii: Point, start: int, stop: int) -> list[Point]:
    """Return points from one angle to another in degrees, clockwise, 0 at three o'clock."""
    angles = np.radians(np.arange(start, stop + 1, 2))
    return [(centre[0] + radii[0] * float(np.cos(a)), centre[1] + radii[1] * float(np.sin(a))) for a in angles]


def _draw(line: list[Point], paper: Colour, ink: Colour) -> Image.Image:
    """Return the line, drawn in one go with a round pen."""
    canvas = Image.new("RGB", (_SIDE * _FINER, _SIDE * _FINER), paper)
    pen = ImageDraw.Draw(canvas)
    points = [(x * _FINER, y * _FINER) for x, y in line]
    pen.line(points, ink, _PEN * _FINER)
    # Pillow's own joints leave hairlines in a curve of short pieces.
    for point in points:
        pen.circle(point, _PEN * _FINER / 2, ink)
    return canvas.resize((_SIDE, _SIDE), Image.Resampling.BOX)


if __name__ == "__main__":
    main()
