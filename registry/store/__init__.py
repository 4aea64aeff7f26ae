"""The artifacts on disk: their records, the store that holds them, and what was made from what."""
