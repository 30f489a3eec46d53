"""Build images with a Docker engine."""
