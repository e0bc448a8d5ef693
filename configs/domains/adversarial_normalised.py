# The same with normalised embeddings: without, the reversal can make an unbounded embedding grow without end.
_base_ = ['adversarial.py']

model = dict(alignment=dict(normalise=True))
