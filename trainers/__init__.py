"""One way to get a model a file. The file's name is the trainer's name in catalog.yaml."""
