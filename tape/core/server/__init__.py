"""tape-server: frames become journal verbs, one commit for whatever has arrived; and the supervisor of the agents."""
