# CID's layout, small enough to train on a CPU
model = dict(
    network=dict(
        type='EncoderDecoder',
        encoder=dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=16, out_indices=(0, 1, 2)),
        decoder=dict(type='AffineDecoder', channels=32, head_channels=16)))
