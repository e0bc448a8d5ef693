# RESIDE-beta URHI, real hazy photos with neither truth nor boxes: a target domain. The number is not checked: the paper
# says 4,807, downloads are said to hold 4,809. UnannotatedHazyImages/*.jpeg
_base_ = ['loaders/unlabelled.py']
test_dataloader = dict(dataset=dict(type='SingleDataset', image_dir='UnannotatedHazyImages', domain='urhi'))
