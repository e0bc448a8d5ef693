# Start from any checkpoint (--load-from FILE): what fits in name and shape is taken, a report says what did not.
_base_ = 'base.py'
load_matching = True
