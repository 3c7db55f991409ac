"""Texts small enough to check by hand. No torch here."""

LINES = ["春风吹又生", "春江花月夜", "花落知多少", "月落乌啼"]  # 19 characters, 15 different ones
SENTENCES = ["we read the poem aloud", "the moon is in the river", "don't  ask", "we ask the river"]

# A bigram model of one word, as ARPA writes it.
ARPA = """\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-99\t<s>\t-0.30103
-0.60206\t</s>
-0.30103\ta\t-0.30103
-0.60206\t<unk>

\\2-grams:
-0.1249387\t<s> a
-0.30103\ta </s>
-0.4259687\ta a

\\end\\
"""
