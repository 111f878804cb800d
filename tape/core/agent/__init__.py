"""The agent process: loads the project, drives runs, runs hooks. Holds no database connection."""
