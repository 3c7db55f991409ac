"""CHOICE: what a command does, from paths to a result. No printing; `cli/X` parses and shows, `jobs/X` does.

watching  who is told
prepare   texts to codec and corpora
annotate  poems to what is told of them
settle    options to every knob of a run
train     texts to a run; beginning: its first weights; trial: what it would take; record: what it took
vocab     texts to a vocabulary
count     texts to n-gram counts
evaluate  runs against a text; adapt: while they learn from it
rescore   a run against n-best lists; lists: what they are in
rerank    several runs, by weights; named: their scores; remember: what they said before; weights_file: weights.toml
tune      lists with references to weights; report: what they bring; explain: why
mix       runs to a mixture; sharpen: the temperature and the cache of a network in it
exchange  runs to ARPA files and back
describe  what a run is
inspect   runs and a text to what is inside of them; panels: its curves
"""
