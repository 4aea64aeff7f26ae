"""All that speaks to a model: prompts, engines, and the store of draws."""
