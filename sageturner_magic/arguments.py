"""The verbs and their arguments, the same for the magics and the command line."""
