"""Stage: the network that carries the terminal; the modem, what is wrong with it, and what brings it back."""
