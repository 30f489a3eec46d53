"""Results as text and as data for programs; the command line and the notebook use it."""
