"""Where the panes stand: at every size they cover the screen once and nothing else."""

from __future__ import annotations

from itertools import product

import pytest

from tape.tui.plan import LEAST_HEIGHT, LEAST_ROWS, LEAST_WIDTH, LOWER, Width, Wish, plan, width_class

SIZES = [*product((70, 80, 99, 100, 120, 159, 160, 200, 400), (18, 24, 30, 40, 60, 100))]
WISHES = [
    Wish(),
    Wish(detail=True),
    Wish(crash_open=True, crash_lines=7),
    Wish(crash_lines=30),
    Wish(left=0.4),
    Wish(left=0.8),
    Wish(weights={"runs": 6.0, "reactors": 6.0, "log": 0.2}),
    Wish(weights={name: 0.2 for name in (*LOWER, "runs")}),
    *(Wish(lower=lower) for lower in LOWER),
    *(Wish(zoom=name) for name in ("runs", "crash", "log")),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_panes_cover_the_screen_once(size: tuple[int, int]) -> None:
    width, height = size
    for wish in WISHES:
        cells = [0] * (width * height)
        for name, (x, y, wide, high) in plan(width, height, wish).items():
            assert wide > 0 and high > 0 and x >= 0 and y >= 0 and x + wide <= width and y + high <= height, name
            for row in range(y, y + high):
                for at in range(row * width + x, row * width + x + wide):
                    cells[at] += 1
        assert set(cells) == {1}, wish


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_each_pane_has_room_for_a_row(size: tuple[int, int]) -> None:
    for wish in WISHES:
        boxes = plan(*size, wish)
        assert min(box[3] for name, box in boxes.items() if name not in ("strip", "keys")) >= LEAST_ROWS, wish


def test_classes_of_width() -> None:
    assert width_class(LEAST_WIDTH - 1, 50) is Width.TINY
    assert width_class(200, LEAST_HEIGHT - 1) is Width.TINY
    assert [width_class(width, 40) for width in (70, 99, 100, 159, 160)] == [
        Width.NARROW, Width.NARROW, Width.MEDIUM, Width.MEDIUM, Width.WIDE,
    ]  # fmt: skip


def test_a_tiny_terminal_has_one_line() -> None:
    assert plan(69, 17, Wish()) == {"strip": (0, 0, 69, 1)}
    assert plan(1, 1, Wish(zoom="runs")) == {"strip": (0, 0, 1, 1)}


def test_the_reactors_take_no_more_than_they_need() -> None:
    for size in ((120, 40), (200, 60)):
        assert plan(*size, Wish())["reactors"][3] == 7


def test_a_weight_makes_a_pane_larger() -> None:
    def height(weight: float) -> int:
        return plan(120, 40, Wish(weights={"runs": weight}))["runs"][3]

    assert height(0.5) < height(1.0) < height(2.0)
