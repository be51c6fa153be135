"""The online updater: events of a Redis stream become rows of the online store within a second."""
