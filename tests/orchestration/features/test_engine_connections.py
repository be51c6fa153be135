"""The batch engine through every kind of address, and from the shell."""
