"""What can be asked of this package: the verbs, their arguments and their functions."""
