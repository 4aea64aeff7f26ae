"""What people read of artifacts: a value, its text and its SQL."""
