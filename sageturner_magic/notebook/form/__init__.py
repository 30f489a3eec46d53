"""Edit a configuration with widgets, and deploy it."""
