# Compile the network with torch.compile; the first iterations take minutes.
_base_ = 'base.py'
compile = True
