"""Grading: final answers, equations, reasoning paths, and the evals that catalog.yaml names."""
