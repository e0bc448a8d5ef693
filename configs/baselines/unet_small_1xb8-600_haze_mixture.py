# A U-Net of 0.12 M parameters, trained and used as AOD-Net beside it.
_base_ = 'aod_net_1xb8-600_haze_mixture.py'
model = dict(network=dict(_delete_=True, type='UNet', channels=[8, 16, 32, 64]))
