# CID as published: 49.4 M parameters; its checkpoints convert with restorekit convert
model = dict(
    network=dict(
        type='EncoderDecoder',
        encoder=dict(type='Res2Net', depth=101, out_indices=(0, 1, 2)),
        decoder=dict(type='CIDDecoder')))
