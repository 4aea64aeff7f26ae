"""Artifacts as files for other trainers."""
