"""The repository on the Hub: what lies in it, how it gets there, and how it comes back."""
