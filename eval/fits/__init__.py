"""Fits over scores and paths: values, which rft/reports prints."""
