"""Every registered component keeps the contract of its kind."""

import inspect

import cv2
import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from restorekit import testing
from restorekit.models import Decoder, RestorationNetwork
from restorekit.models.losses import Reweighter
from restorekit.registry import DATASETS, DEGRADATIONS, METRICS, MODELS
from restorekit.structures import RestoreSample

ENCODER = dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=8, base_width=16)
HAZE = dict(type='AtmosphericScattering')
SCENES = dict(type='ProceduralScenes', length=3, height=24, width=32, pipeline=[dict(type='RandomFlip')])

# kind -> name -> the smallest config that builds the component (without ``type``), or several of them
EXAMPLES = dict(
    network=dict(
        AODNet={}, ColourAttenuationPrior=dict(patch_size=3, radius=4),
        ConvIR=dict(blocks=1, channels=8, dilations=(1, 1, 1)),
        DEANet=[dict(channels=8, blocks=(1, 1, 1)), dict(channels=8, blocks=(1, 1, 1), fused=True)],
        DehazeFormer=dict(depths=(1, 0, 2, 0, 0), channels=(8, 8, 8), heads=(1, 1, 2, 1, 1)),  # each kind of block
        FFANet=dict(blocks=1, channels=16), GUNet=dict(depths=(1, 1, 1), base_channels=8),
        GridDehazeNet=dict(channels=8, layers=1), MSBDN=dict(channels=4, blocks=1),
        PromptIR=dict(channels=8, blocks=(1, 1, 1, 1), refinement_blocks=1, heads=(1, 1, 1, 1),
                      prompt_channels=(8, 8, 8), prompt_sizes=(4, 4, 4)),
        Restormer=dict(channels=8, blocks=(1, 1, 1, 1), refinement_blocks=1, heads=(1, 1, 1, 1)),
        UNet=dict(channels=(4, 8)),
        DarkChannelPrior=[{}, dict(window=7, radius=8)],
        LowResolutionAffine=[
            dict(encoder=dict(type='PriorEncoder', features=dict(type='EfficientNetLite', out_stages=[3])),
                 decoder=dict(type='GridAffineDecoder', channels=8, blocks=1), size=[32, 16]),
            dict(encoder=ENCODER, decoder=dict(type='GridAffineDecoder', channels=8, blocks=1, prior=False),
                 size=[32, 32])],
        EncoderDecoder=[
            dict(encoder=ENCODER, decoder=dict(type='AffineDecoder', channels=8, head_channels=4)),
            dict(encoder=dict(ENCODER, base_channels=16), decoder=dict(type='CIDDecoder', enhancer_channels=4)),
            dict(encoder=dict(type='TimmEncoder', name='test_resnet', out_indices=(1, 2, 3)),
                 decoder=dict(type='FPNDecoder', channels=8, head_channels=4)),
            dict(encoder=dict(type='TimmEncoder', name='test_vit', out_indices=(0, 1)),
                 decoder=dict(type='UNetSkipDecoder', channels=8, head_channels=4, embedding_channels=8))]),
    encoder=dict(
        EfficientNetLite=[{}, dict(out_stages=[1, 2])],
        PriorEncoder=[{}, dict(features=dict(type='EfficientNetLite', out_stages=[3]), feature_scale=1.0)],
        Res2Net=[dict(stage_blocks=(1, 1, 1), base_channels=8, base_width=16),
                 dict(stage_blocks=(1, 1, 1, 1), base_channels=8, base_width=16, scale=2, out_indices=(1, 3))],
        TimmEncoder=dict(name='test_resnet', out_indices=(1, 2, 3))),
    decoder=dict(AffineDecoder=dict(channels=8, head_channels=4), FPNDecoder=dict(channels=8, head_channels=4),
                 UNetSkipDecoder=dict(channels=8, head_channels=4, embedding_channels=8),
                 CIDDecoder=dict(enhancer_channels=4),
                 GridAffineDecoder=[dict(channels=8), dict(channels=[8, 12, 16], blocks=[1, 0, 1], prior=False)]),
    loss=dict(
        AdversarialLoss=[dict(kind=kind) for kind in ('hinge', 'lsgan', 'vanilla')],
        CharbonnierLoss=dict(loss_weight=0.5), ChromaLoss=[{}, dict(balance=0.0)],
        ColourLoss=[{}, dict(kind='ciede2000')],
        ContrastiveLoss=dict(layers={'relu1_1': 0.5, 'relu2_1': 1.0}, pretrained=None),
        EdgeLoss=[{}, dict(operator='laplacian', eps=1e-3)],
        FrequencyLoss=[dict(kind=kind) for kind in ('complex', 'amplitude', 'focal')], L1Loss={},
        LPIPSLoss=dict(pretrained=None, heads=None), MSELoss={}, MSSSIMLoss=dict(window=3, scales=3),
        PSNRLoss={}, PerceptualLoss=dict(layers={'relu1_2': 1.0, 'relu2_2': 0.5}, net='vgg16', pretrained=None),
        RehazeLoss=[{}, dict(kind='dark_channel')], TVLoss={},
        TeacherLoss=[{}, dict(of='embedding')],
        SSIMLoss=[{}, dict(window=7, padding='zero')]),
    reweighter=dict(
        DecorrelationReweighter=[{}, dict(num_maps=2, target_ess=0.8)],
        DensityRatioReweighter={}),
    alignment=dict(
        CORALLoss=[{}, dict(bounded=False), dict(bounded=True, loss_weight=0.1)],
        MMDLoss={}, MeanCovarianceLoss={}),
    degradation=dict(
        AtmosphericScattering=[{}, dict(airlight_saturation=(0.1, 0.3), wavelength_exponent=(0.0, 1.0))],
        Blur={}, CIDScattering=[{}, dict(mode='faithful')], ColourCast={}, ColourGain={}, Dust={},
        HazeField=dict(hazy_dir='DIR/hazy', clear_dir='DIR/clear'), JPEG={},
        LowLight=[{}, dict(mode='retinex')], NightGlow={}, NightHaze={}, NonHomogeneousHaze={},
        PoissonGaussianNoise=[{}, dict(grey=0.5, linear=True)], Rain={}, Resize={}, Snow={}, Underwater={},
        Maybe=dict(child=HAZE), OneOf=dict(children=[HAZE, dict(type='Snow')]),
        Sequential=dict(children=[HAZE, dict(type='PoissonGaussianNoise'), dict(type='JPEG')]),
        Shuffle=dict(children=[dict(type='Blur'), dict(type='PoissonGaussianNoise')])),
    metric=dict(
        CIEDE2000=[{}, dict(protocol='size-256')], ChromaError={}, HazeDensity={},
        MAE=dict(protocol='y-matlab'), MSSSIM={},
        PSNR=[dict(protocol=name) for name in ('rgb', 'rgb-uint8', 'y-matlab', 'size-256', 'crop16')],
        SSIM=[dict(protocol=name) for name in ('rgb', 'ffa', 'dehazeformer', 'skimage7')]),
    dataset=dict(  # DIR is a folder with images in hazy/ and clear/ and depth maps in depth/
        ClearDepthDataset=[dict(clear_dir='DIR/clear'),
                           dict(clear_dir='DIR/clear', depth_dir='DIR/depth', cache=True,
                                pipeline=[dict(type='RandomCrop', size=16), dict(type='Degrade', degradation=HAZE)])],
        ConcatDataset=[dict(datasets=[SCENES, dict(type='SingleDataset', image_dir='DIR/hazy')]),
                       dict(datasets=[SCENES, SCENES], weights=[1, 3])],
        DomainPairDataset=dict(source=SCENES, target=dict(type='SingleDataset', image_dir='DIR/hazy')),
        PairedDataset=dict(input_dir='DIR/hazy', gt_dir='DIR/clear', pipeline=[dict(type='RandomCrop', size=40)]),
        ProceduralScenes=dict(length=2, height=24, width=32),
        SingleDataset=dict(image_dir='DIR/hazy', pipeline=[dict(type='LimitSize', max_size=20)]),
        UnpairedDataset=dict(input_dir='DIR/hazy', target_dir='DIR/clear',
                             pipeline=[dict(type='RandomCrop', size=16)])))

# neither trained nor asked alone; tests/models holds them to what they do
OWN_TESTS = {'AdversarialRestorer', 'AffineRestorer', 'CIDRestorer', 'CycleRestorer', 'DistillationRestorer',
             'MeanTeacherConsistency', 'PatchDiscriminator', 'RestorePreprocessor', 'Restorer', 'StoredPredictions',
             'UNetDiscriminator'}
# they need more than their contract's arguments; tests/losses and tests/datasets hold them to what they do
OWN_TESTS |= {'CachedFeatures', 'DensityConditionalCORAL', 'DomainAdversarialLoss', 'GroupDRO', 'TestTimeRestorer'}
# it needs a library; tests/models/test_spandrel_network.py holds it to the contract
OWN_TESTS |= {'SpandrelNetwork'}
# these need a library and its weights; tests/evaluation/test_library_metrics.py holds them to the contract
OWN_TESTS |= {'BRISQUE', 'FADE', 'LPIPS', 'NIQE', 'PyIQA'}


def registered():
    """(kind, name) of every component that restorekit itself registers."""
    for kind, registry in (('degradation', DEGRADATIONS), ('dataset', DATASETS), ('metric', METRICS), (None, MODELS)):
        registry.import_from_location()
        for name, component in registry.module_dict.items():
            if component.__module__.startswith('restorekit.') and name not in OWN_TESTS:
                yield kind or kind_of_model(component), name


def kind_of_model(component):
    for base, kind in ((RestorationNetwork, 'network'), (Decoder, 'decoder'), (Reweighter, 'reweighter')):
        if issubclass(component, base):
            return kind
    if component.__module__.startswith('restorekit.models.encoders'):
        return 'encoder'
    arguments = tuple(inspect.signature(component.forward).parameters)[1:3]
    return {('pred', 'target'): 'loss', ('source', 'target'): 'alignment'}.get(arguments, 'model')


def examples():
    for kind, components in EXAMPLES.items():
        for name, configs in components.items():
            for number, config in enumerate(configs if isinstance(configs, list) else [configs]):
                yield pytest.param(kind, dict(config, type=name), id=f'{kind}-{name}-{number}')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for part in ('hazy', 'clear', 'depth'):
        (root / part).mkdir()
        for name in ('1.png', '2.png', '3.png'):
            shape, top, kind = ((24, 32), 2**16, np.uint16) if part == 'depth' else ((24, 32, 3), 256, np.uint8)
            assert cv2.imwrite(str(root / part / name), rng.integers(0, top, shape, dtype=kind))
    return str(root)


def fill_in(config, folder):
    if isinstance(config, dict):
        return {key: fill_in(value, folder) for key, value in config.items()}
    if isinstance(config, list):
        return [fill_in(value, folder) for value in config]
    return config.replace('DIR', folder) if isinstance(config, str) else config


def test_every_registered_component_has_an_example():
    missing = [f'{kind} {name}' for kind, name in registered() if name not in EXAMPLES.get(kind, {})]
    assert not missing, (
        f'without an example: {", ".join(missing)}. Add a line to EXAMPLES[kind] of tests/contracts/test_contracts.py: '
        'the name and the arguments of the smallest one that builds. (A kind "model" fits no contract, since its '
        'forward takes neither (pred, target) nor (source, target): write it tests, and its name into OWN_TESTS.)')
    known = {name for _, name in registered()}
    stale = {name for components in EXAMPLES.values() for name in components} - known
    assert not stale, f'EXAMPLES of tests/contracts/test_contracts.py names what is not registered: {sorted(stale)}'


@pytest.mark.parametrize(('kind', 'config'), examples())
def test_contract(kind, config, folder):
    if config['type'] == 'TimmEncoder' or config.get('encoder', {}).get('type') == 'TimmEncoder':
        pytest.importorskip('timm')
    getattr(testing, f'check_{kind}')(fill_in(config, folder))


def trained():
    """The networks, and each encoder with a decoder."""
    for parameter in examples():
        kind, config = parameter.values
        if kind == 'network':
            yield pytest.param(config, id=parameter.id)
        elif kind == 'encoder' and config['type'] != 'PriorEncoder':  # LowResolutionAffine has it
            decoder = dict(type='FPNDecoder', channels=8, head_channels=4)
            yield pytest.param(dict(type='EncoderDecoder', encoder=config, decoder=decoder), id=parameter.id)


@pytest.mark.parametrize('config', trained())
def test_a_training_step_changes_weights_and_keeps_them_finite(config):
    if config.get('encoder', {}).get('type') == 'TimmEncoder':
        pytest.importorskip('timm')
    restorer = MODELS.build(dict(type='Restorer', network=config, losses=dict(pixel=dict(type='L1Loss')))).train()
    weights = [p for p in restorer.parameters() if p.requires_grad]
    if config['type'] in ('ColourAttenuationPrior', 'DarkChannelPrior') or config.get('fused'):
        assert not weights or config.get('fused')  # nothing to train, or for inference
        return
    before = [p.detach().clone() for p in weights]
    images = torch.randint(256, (2, 2, 3, 40, 36), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = [RestoreSample(metainfo=dict(img_path='x')) for _ in images[1]]
    for sample, image in zip(samples, images[1], strict=True):
        sample.gt = image
    logged = restorer.train_step(dict(inputs=list(images[0]), data_samples=samples),
                                 OptimWrapper(torch.optim.Adam(weights, lr=1e-3)))
    assert torch.isfinite(logged['loss']) and all(p.isfinite().all() for p in weights)
    assert any(not torch.equal(p, old) for p, old in zip(weights, before, strict=True))
