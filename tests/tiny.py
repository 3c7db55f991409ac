"""Texts small enough to check by hand. No torch here."""

LINES = ["春风吹又生", "春江花月夜", "花落知多少", "月落乌啼"]  # 19 characters, 15 different ones
SENTENCES = ["we read the poem aloud", "the moon is in the river", "don't  ask", "we ask the river"]
