"""Which packages a module's code and its artefact need."""
