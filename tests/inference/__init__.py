"""Tests of prompts, engines and draws."""
