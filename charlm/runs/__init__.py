"""STEPS: the run directory, from its names to what is drawn from it.

layout    names, RunConfig, and the small files
writing   the only creator and owner of a run
journal   a training's files
run       Run: score, sample, evaluate
cloze     ClozeRun: what is missing
checking  every file looked at
curves    the learning curve
"""
