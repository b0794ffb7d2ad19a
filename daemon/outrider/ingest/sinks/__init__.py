"""Where records go: rules decided in memory, the register that keeps them, and the shelves behind it."""
