# Larger patches in smaller batches as training goes on, one optimizer and one schedule over all (Restormer, 2022).
_base_ = 'base.py'
phases = dict(
    first=dict(train_dataloader=dict(batch_size=8, dataset=dict(source=dict(pipeline=dict(crop=dict(size=64)))))),
    second=dict(continue_training=True, train_dataloader=dict(
        batch_size=4, dataset=dict(source=dict(pipeline=dict(crop=dict(size=96)))))),
    third=dict(continue_training=True, train_dataloader=dict(
        batch_size=2, dataset=dict(source=dict(pipeline=dict(crop=dict(size=128)))))))
