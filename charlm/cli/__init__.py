"""CHOICE: the command line, one file a command: parse, call, show. `cli/X` parses and shows, `jobs/X` does."""
