"""What stops a push: a file a check."""
