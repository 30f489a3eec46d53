"""Complete verbs, options and YAML keys."""
