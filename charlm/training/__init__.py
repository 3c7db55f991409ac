"""STEPS: how a model learns by gradient, and how the weights of a mixture are found.

batches    a corpus as steps of training
feeding    which text the next step reads
ahead      batches made beside the training
schedules  how far a training is, and the learning rate there
journal    what a training tells, and what it asks to be kept
standing   where a training stands, in numbers
ranks      several processes that train together
devices    where and how precisely it computes
texts      what is learned and what is measured
ceiling    how fast a step could be at best
crew       several threads that take a step together
pacing     whether they take it, or one with torch's threads
optimizers what moves the weights, and what follows them
averages   averages of the weights
learner    a model, its optimizer and its random numbers
keeping    what of a training is kept, and taken up again
gradient   the loop
trial      a few steps, extrapolated
searching  the lowest place of a function
em         weights of a mixture
"""
