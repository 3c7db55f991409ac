"""STEPS: files and folders of the disk.

places    what is there under a name, what may come there, and the cache folder
contents  what is in a file or comes from standard input
whole     files and folders that appear whole or not at all
"""

from charlm.storage.contents import open_bytes, open_stdin, read_text, sha256_of, unread_hint
from charlm.storage.places import cache_folder, exists, is_file, is_folder, is_stream, reason_of, refuse_as_folder
from charlm.storage.whole import append_line, remove_unfinished, whole_file, whole_folder, write_error, write_text

__all__ = [
    "append_line",
    "cache_folder",
    "exists",
    "is_file",
    "is_folder",
    "is_stream",
    "open_bytes",
    "open_stdin",
    "read_text",
    "reason_of",
    "refuse_as_folder",
    "remove_unfinished",
    "sha256_of",
    "unread_hint",
    "whole_file",
    "whole_folder",
    "write_error",
    "write_text",
]
