"""STEPS: bytes to mapped ids. No torch.

decoding  bytes to lines
reader    any text to what a model reads
files     files to documents
survey    what is odd in them
habits    how they are written; `numerals`: numbers in words
vocab     tokens and their ids
codec     documents to ids and back; the only such door
census    documents to a codec
mismatch  whether other texts are written in its units
prefixes  what is read before a document, and not predicted
corpus    ids of all documents, mapped
"""
