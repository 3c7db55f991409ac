"""STEPS: verse that keeps its form by construction. It shares forms and rhyme books with the checker, and no code.

inventory  which tokens of a vocabulary have which tone and rhyme
metre      which strings of tones a line may have
ways       what a poem may still become
automaton  the form as a Constraint: what may come next, so that the whole can still be kept
demands    what people fix in a poem, and why it cannot be had
novelty    what the training text says, so that it is not said again
annotating what a poem is: its form, tune and rhyme
themes     what a poem is about, and whether it says so
telling    what a model is told before it writes
writing    candidates, and the best of them
drafting   a poem line by line, with a person
replacing  which characters do best in a few places
"""
