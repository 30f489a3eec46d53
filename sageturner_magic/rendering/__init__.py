"""Show results as text or JSON."""
