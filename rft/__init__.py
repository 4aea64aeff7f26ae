"""The command rft, and all that people read, send and keep."""
