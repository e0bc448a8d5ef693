# GroupDRO (Sagawa et al., 2020): domains in proportion to how badly they do.
_base_ = ['erm.py']

model = dict(group_weighting=dict(
    type='GroupDRO', step=0.1,
    domains=['indoor', 'outdoor', 'ohaze', 'tinted', 'fog', 'dust', 'night', 'low_light', 'underwater']))
