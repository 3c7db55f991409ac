"""STEPS: looking into a model: how far back it learns, how far back it looks, what its gates and units do.

positions  places of a text, and the model's state before them
bands      means with a confidence band, slopes and half-lives
stepping   the steps of a recurrent network, one by one, every layer within reach
gradients  the gradient by time lag
spectra    the largest singular value of a product of Jacobians
radius     a sweep of the spectral radius, and what clipping does to it
planted    tasks with a planted long-distance dependency, and how every cell learns them
memory     what replacing a token some steps back does to the next distribution
gates      what gates do
features   what can be said of every token of a text
probes     linear probes, held out and beside shuffled ones
neurons    which unit knows what
pictures   curves as PNG
pages      HTML pages that need no other file
"""
