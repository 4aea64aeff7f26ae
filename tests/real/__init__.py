"""Tests on real data, where there is any."""
