"""Fit a model to rows of tokens: what the trainers have in common."""
