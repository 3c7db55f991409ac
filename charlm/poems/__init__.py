"""STEPS: what verse must sound like, and whether it does. No torch.

sounds     rhyme books: a character's tones and rhyme groups
form       forms as data: lines, slots, rhymes, variants
parsing    poems out of the lines of a text
judgement  what is said of a poem
aligning   which of its lines stands for which of the form
rhyming    whether they rhyme
regulated  the rules of regulated verse, and what mends what
checking   the judgement: every variant tried
mending    which characters would mend a fault
"""
