# Batches of random crops of 256. A dataset's base adds the dataset; a child config changes a step by its name:
# train_dataloader = dict(batch_size=16, dataset=dict(pipeline=dict(crop=dict(size=128))))
train_dataloader = dict(
    batch_size=8, num_workers=2, persistent_workers=True,
    sampler=dict(type='CounterSampler'),
    dataset=dict(pipeline=dict(crop=dict(type='RandomCrop', size=256), flip=dict(type='RandomFlip'))))
