"""Backups of a platform's state: made while it runs, checked by digests, restored into an empty home."""
