"""Tests of the command, and of what it reads, writes and sends."""
