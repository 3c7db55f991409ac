"""stub"""


def score() -> None:
    """Later."""
