# Plain training where a domain is seen as often as it has items: no balance between domains.
_base_ = ['erm.py']

train_dataloader = dict(dataset=dict(source=dict(weights=dict(
    indoor=240, outdoor=240, ohaze=224, tinted=224, fog=265, dust=240, night=220, low_light=220, underwater=240))))
