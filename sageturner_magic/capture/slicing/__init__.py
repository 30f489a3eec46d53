"""The statements of cells that a module needs, in the order to write them."""
