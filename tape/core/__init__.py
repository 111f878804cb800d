"""The core: kernel, journal, wire, SDK, agent process and server."""
