"""The feed: a thread that reads the journal and the machine, and makes the scenes."""
