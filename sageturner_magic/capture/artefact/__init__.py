"""Make the model files that an endpoint gets from variables, files and archives."""
