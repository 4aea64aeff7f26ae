"""One dataset builder a file. The file's name is the builder's name in catalog.yaml."""
