"""Draw boxes, arrows and texts into an SVG, on a light card that is readable on light and dark pages."""

from __future__ import annotations

from xml.sax.saxutils import escape

__all__ = ["DECODER", "ENCODER", "NEUTRAL", "SKIP", "Drawing", "text_width"]

# Fill and border of a box.
Colour = tuple[str, str]
ENCODER: Colour = ("#dbeafe", "#1d4ed8")
DECODER: Colour = ("#dcfce7", "#15803d")
SKIP: Colour = ("#ffedd5", "#c2410c")
NEUTRAL: Colour = ("#f1f5f9", "#475569")

_INK = "#0f172a"
_FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
# Of the widest of these fonts; others are narrower.
_WIDTH_PER_SIZE = 0.61


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is, in pixels."""
    return len(text) * size * _WIDTH_PER_SIZE


class Drawing:
    """A drawing of the given size in pixels.

    Attributes:
        texts: each text with its left, top, right and bottom edge, in pixels. A test looks for overlaps.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.texts: list[tuple[str, tuple[float, float, float, float]]] = []
        self._parts = [
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="#ffffff" stroke="#cbd5e1"/>'
        ]

    def text(
        self, x: float, y: float, text: str, *, size: int = 12, anchor: str = "middle", bold: bool = False
    ) -> None:
        """Write a line whose middle is at height ``y``. ``anchor`` is ``start``, ``middle`` or ``end``."""
        width = text_width(text, size)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        self.texts.append((text, (left, y - size / 2, left + width, y + size / 2)))
        weight = ' font-weight="bold"' if bold else ""
        # The baseline is about a third of the size under the middle.
        self._parts.append(
            f'<text x="{x:g}" y="{y + 0.35 * size:g}" font-size="{size}" text-anchor="{anchor}"{weight}>'
            f"{escape(text)}</text>"
        )

    def box(self, x: float, y: float, width: float, height: float, lines: list[str], colour: Colour) -> None:
        """Draw a box from its upper left corner, with its lines of text centred. The first is larger."""
        fill, border = colour
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" stroke="{border}"/>'
        )
        step = 15
        top = y + height / 2 - step * (len(lines) - 1) / 2
        for i, line in enumerate(lines):
            self.text(x + width / 2, top + i * step, line, size=12 if i == 0 else 11)

    def circle(self, x: float, y: float, text: str) -> None:
        """Draw a circle with a sign, where two feature maps are merged."""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="11" fill="#ffffff" stroke="{_INK}"/>')
        self.text(x, y, text, size=13)

    def arrow(self, *points: tuple[float, float], colour: str = _INK, dashed: bool = False, head: bool = True) -> None:
        """Draw an arrow along points, or a line without a head."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"{dash}/>')
        if head:
            (x0, y0), (x, y) = points[-2:]
            length = abs(x - x0) + abs(y - y0)
            dx, dy = (x - x0) / length, (y - y0) / length
            corners = [(x, y), (x - 7 * dx - 4 * dy, y - 7 * dy + 4 * dx), (x - 7 * dx + 4 * dy, y - 7 * dy - 4 * dx)]
            self._parts.append(f'<polygon points="{" ".join(f"{a:g},{b:g}" for a, b in corners)}" fill="{colour}"/>')

    def svg(self) -> str:
        """Return the SVG file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" font-family="{_FONT}" fill="{_INK}">'
        )
        return "\n".join([head, *self._parts, "</svg>\n"])
