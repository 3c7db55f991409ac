"""CHOICE: how a family of models learns."""
