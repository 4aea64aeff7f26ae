"""Figures: each is a function of registered artifacts that returns a Drawing; FIGURES in catalogue.py lists them."""
