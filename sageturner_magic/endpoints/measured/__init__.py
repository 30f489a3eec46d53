"""Measure endpoints: costs, usage, load tests."""
