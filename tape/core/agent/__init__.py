"""The agent process: load the project, drive runs, run hooks."""
