"""How much memory this process holds, and how it gives it back."""

import ctypes
import mmap
import sys
from pathlib import Path


def peak() -> int:
    """The most memory this process has held, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024


def held() -> int:
    """The memory this process holds now, in bytes; the most it ever held where the system tells no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return peak()
    return pages * mmap.PAGESIZE


# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 1 << 30  # bytes


def keep_freed() -> None:
    """Let the allocator keep what was freed, where it is glibc's.

    Otherwise it gives large blocks back at once, and a step of training, which frees and asks for the same ones again,
    spends a fifth of its time on pages that the system has to clear; reading lists of candidates a twentieth,
    drawing a poem a tenth.
    """
    try:
        allocator = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another system, or another library
        return
    allocator(M_MMAP_THRESHOLD, KEPT)
    allocator(M_TRIM_THRESHOLD, KEPT)
