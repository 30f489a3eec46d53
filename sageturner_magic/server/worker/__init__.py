"""The worker process: it runs the user's load and predict."""
