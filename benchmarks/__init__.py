"""Programs that measure the project, and the made-up data that they measure it on. Run as python -m benchmarks.NAME."""
