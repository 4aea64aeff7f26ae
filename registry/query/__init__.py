"""Ask about all artifacts at once, in SQL and from Python."""
