"""The console's own two themes; Textual's stand beside them in the palette, the ansi ones too."""

from __future__ import annotations

from textual.theme import Theme

DARK, LIGHT, ANSI = "tape-dark", "tape-light", "ansi-dark"
FIRST_THEMES = (DARK, LIGHT, ANSI, "ansi-light")

THEMES = (
    Theme(
        name=DARK,
        primary="#5b9dd9",
        secondary="#8a7fd0",
        accent="#59c2c9",
        foreground="#d7dae0",
        background="#14171c",
        surface="#1a1e24",
        panel="#20252d",
        success="#7fb77e",
        warning="#e0b05a",
        error="#e06c65",
        dark=True,
    ),
    Theme(
        name=LIGHT,
        primary="#1f6fb2",
        secondary="#6554b5",
        accent="#0b7c86",
        foreground="#23272e",
        background="#fbfaf7",
        surface="#f3f1ec",
        panel="#e9e6df",
        success="#2e7d4f",
        warning="#9a6700",
        error="#c0392b",
        dark=False,
    ),
)
