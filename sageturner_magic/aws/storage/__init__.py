"""Artefacts on their way into the S3 bucket."""
