"""Read the answer and the reasoning path of a response, and compare them."""
