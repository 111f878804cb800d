"""The five reactors, blind to each other, and the host that paces them."""
