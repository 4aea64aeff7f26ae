"""A package, so that its conftest is no second module `conftest`; not named vllm, so that it is not mistaken for that."""
