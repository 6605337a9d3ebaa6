"""Draws where the time of a start goes, as an SVG that is readable on light and dark pages."""

from xml.sax.saxutils import escape

WIDTH = 860
MARGIN = 12
BAR = 24
LINE = 20
CHARACTER = 7.2  # about the width of one in the legends
# Told apart on white as on black, neighbours too.
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#d4a72c", "#b07aa1", "#9c755f", "#7d8590", "#a0cbe8", "#ffbe7d", "#8cd17d",
           "#ff9d9a", "#d4a6c8", "#c9a87c", "#499894")
STYLE = """text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.name { font-weight: 600; }
.axis { stroke: #8b949e; stroke-dasharray: 3 3; fill: none; }
.page { fill: #ffffff; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .page { fill: #0d1117; } }"""


def milliseconds(seconds):
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.0095 else f"{seconds * 1000:,.1f} ms"


def total(steps):
    return sum(step["took"] for step in steps)


class Drawing:
    """Shapes from top to bottom."""

    def __init__(self):
        self.shapes, self.y, self.colours = [], MARGIN, {}

    def colour(self, what):
        """The same step has the same colour in all bars."""
        return self.colours.setdefault(what, COLOURS[len(self.colours) % len(COLOURS)])

    def text(self, x, text, kind=""):
        self.shapes.append(f'<text x="{x:.1f}" y="{self.y + 14:.1f}" class="{kind}">{escape(text)}</text>')

    def box(self, x, width, height, what, took):
        self.shapes.append(f'<rect x="{x:.2f}" y="{self.y:.1f}" width="{width:.2f}" height="{height}" fill="{self.colour(what)}">'
                           f"<title>{escape(what)}: {milliseconds(took)}</title></rect>")

    def bar(self, steps, scale, height=BAR, x=MARGIN):
        """Returns where each step begins, and the end."""
        begins = [x]
        for step in steps:
            width = step["took"] * scale
            self.box(begins[-1], width, height, step["what"], step["took"])
            begins.append(begins[-1] + width)
        self.y += height
        return begins

    def legend(self, steps, indent=0.0):
        """What the colours mean, as many to a line as there is room for."""
        x = MARGIN + indent
        self.y += 6
        for step in steps:
            text = f"{step['what']} {milliseconds(step['took'])}"
            width = 16 + CHARACTER * len(text) + 16
            if x + width > WIDTH - MARGIN and x > MARGIN + indent:
                x, self.y = MARGIN + indent, self.y + LINE
            self.y += 2
            self.box(x, 11, 11, step["what"], step["took"])
            self.y -= 3
            self.text(x + 16, text)
            self.y += 1
            x += width
        self.y += LINE + 6

    def lines(self, *points):
        for x1, y1, x2, y2 in points:
            self.shapes.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="axis"/>')

    def svg(self):
        height = self.y + MARGIN
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img">\n'
                f"<title>Where the time of a VM's start goes, from the spawn to the end of its first command</title>\n<style>{STYLE}</style>\n"
                '<path d="M0 0h100000v100000H0z" class="page"/>\n'
                + "\n".join(self.shapes) + "\n</svg>\n")


def guest_parts(drawing, start, begins, scale):
    """What the guest did within the step "set up", below it."""
    inside = [begins[i] for i, step in enumerate(start["steps"]) if step["what"] == "set up"]
    if not inside or not start.get("guest"):
        return
    drawing.y += 4
    drawing.bar(start["guest"], scale, BAR // 2, inside[0])
    drawing.legend(start["steps"])
    drawing.y -= 4
    drawing.y += 5
    drawing.text(MARGIN, "set up, in the guest:")
    drawing.y -= 5
    drawing.legend(start["guest"], indent=150)


def draw(starts):
    """One bar per start, all to the same scale, the longest first; the shortest once more, enlarged."""
    starts = sorted(starts, key=lambda start: -total(start["steps"]))
    room = WIDTH - 2 * MARGIN
    scale = room / total(starts[0]["steps"])
    drawing = Drawing()
    for start in starts:
        drawing.text(MARGIN, f"{start['name']}: {milliseconds(total(start['steps']))} from spawn to the end of the first command", "name")
        drawing.y += LINE
        begins = drawing.bar(start["steps"], scale)
        if start is not starts[-1]:
            drawing.legend(start["steps"])
    shortest = starts[-1]
    # Between the bar and its enlargement.
    drawing.lines((MARGIN, drawing.y, MARGIN, drawing.y + 26), (begins[-1], drawing.y, WIDTH - MARGIN, drawing.y + 26))
    drawing.y += 26
    enlarged = room / total(shortest["steps"])
    begins = drawing.bar(shortest["steps"], enlarged)
    if shortest.get("guest") and any(step["what"] == "set up" for step in shortest["steps"]):
        guest_parts(drawing, shortest, begins, enlarged)
    else:
        drawing.legend(shortest["steps"])
    return drawing.svg()
