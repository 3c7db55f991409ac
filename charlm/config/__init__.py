"""STEPS: every knob, page by page. No torch.

knobs       what a knob is: default, help, panel; how a page is built and checked
text        how files become documents and documents tokens
networks    CELLS, and the pages of networks
models      MODELS: the families, each with its page
training    budget, optimizer, saving; PRESETS
embedding   how word vectors are learned
sampling    how text is drawn
evaluation  how a network learns from the text that it is measured on
inspecting  how far back a model is looked into
filling     what is looked for in a blank
settings    the names of all pages together, and the files that give them
"""
