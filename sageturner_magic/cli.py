"""The `sageturner` command."""
