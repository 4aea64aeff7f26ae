"""The commands of rft, by what they are for."""
