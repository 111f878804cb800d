"""The panes: each renders one part of a scene."""
