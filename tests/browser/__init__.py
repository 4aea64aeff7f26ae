"""A package, so that its conftest is no second module `conftest`."""
