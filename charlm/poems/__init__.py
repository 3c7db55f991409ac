"""STEPS: what verse must sound like. No torch.

sounds  rhyme books: a character's tones and rhyme groups
"""
