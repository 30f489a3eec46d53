"""How results look in a notebook: static HTML, and widgets while work runs."""
