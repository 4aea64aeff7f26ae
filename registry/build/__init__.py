"""Make an artifact: feed its maker, take out the rows it refuses, write, hash, publish."""
