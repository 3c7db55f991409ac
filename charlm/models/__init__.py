"""CHOICE: what a language model can be."""
