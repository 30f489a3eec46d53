"""The front process: it owns the port and never runs user code."""
