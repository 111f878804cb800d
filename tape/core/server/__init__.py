"""The one writer of the journal, and the supervisor of the agent processes."""
