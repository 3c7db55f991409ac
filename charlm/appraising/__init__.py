"""STEPS: what many poems are worth, a model's beside those of people. That a poem is correct does not make it good.

verses          poems as bare lines, with the marks of their form, and shuffled
keeping         how many keep their form, by the checker
quality         what is repeated, copied and said in ever new words
distinguishing  whether a simple reader can tell two sets apart
"""
