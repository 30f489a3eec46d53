"""Assemble images from layers, without Docker."""
