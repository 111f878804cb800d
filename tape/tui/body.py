"""The main screen's panes, placed by `plan`."""

from __future__ import annotations

from textual.geometry import Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from tape.tui.plan import Wish, plan


class PlannedLayout(Layout):
    """Places each child by its id as the plan says."""

    name = "planned"

    def __init__(self) -> None:
        self.wish = Wish()

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        boxes = plan(size.width, size.height, self.wish)
        nowhere, none = Region(0, 0, 0, 0).offset, Spacing(0, 0, 0, 0)
        return [
            WidgetPlacement(Region(*boxes[child.id]), nowhere, none, child)
            for child in children
            if child.id is not None and child.id in boxes
        ]


class Body(Widget):
    """Holds the panes."""

    DEFAULT_CSS = "Body { width: 100%; height: 100%; }"

    def __init__(self, *children: Widget, id: str) -> None:
        super().__init__(*children, id=id)
        self.planned = PlannedLayout()

    @property
    def layout(self) -> Layout:
        return self.planned
