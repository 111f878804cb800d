"""The screens: the console itself, and those that stand in front of it for a moment."""
