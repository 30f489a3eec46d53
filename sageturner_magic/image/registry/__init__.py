"""Talk to image registries."""
