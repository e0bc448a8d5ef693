# Shard weights, gradients and optimizer over CUDA GPUs (FSDP2): tools/dist_train.sh habits/fully_sharded.py 8
_base_ = 'base.py'
model_wrapper_cfg = dict(type='FullyShardedModel')
