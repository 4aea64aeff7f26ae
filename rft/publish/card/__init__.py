"""The card of a repository: its text, and its pictures."""
