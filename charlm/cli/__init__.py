"""The command line: parse, call, show. One file per command; nothing here that Python users could miss."""
