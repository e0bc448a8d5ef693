"""Optimizer wrappers: only what is trainable, and mixed precision on any device."""

import copy
from contextlib import contextmanager

import torch
from mmengine.optim import AmpOptimWrapper as CudaAmpOptimWrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper

from restorekit.config import ConfigError
from restorekit.messages import InputError, MissingDependencyError
from restorekit.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, less the parameters that are frozen.

    Raises:
        ValueError: If nothing is trainable.
    """

    def __call__(self, model):
        wrapper = super().__call__(model)
        optimizer = wrapper.optimizer
        for group in optimizer.param_groups:
            group['params'] = [parameter for parameter in group['params'] if parameter.requires_grad]
        optimizer.param_groups[:] = [group for group in optimizer.param_groups if group['params']]
        if not optimizer.param_groups:
            raise InputError('nothing to train: every parameter of the model is frozen; shorten frozen=[...]')
        return wrapper


@OPTIM_WRAPPERS.register_module(name='AmpOptimWrapper')
class AutocastOptimWrapper:
    """Mixed precision: MMEngine's ``AmpOptimWrapper`` on CUDA, bfloat16 autocast on the CPU.

    Args:
        dtype (str, optional): ``'float16'`` or ``'bfloat16'``; on the CPU only the latter.
        **kwargs: See MMEngine's wrappers; ``loss_scale`` has no meaning on the CPU.
    """

    def __new__(cls, dtype=None, loss_scale='dynamic', **kwargs):
        if torch.cuda.is_available():
            return CudaAmpOptimWrapper(loss_scale=loss_scale, dtype=dtype, **kwargs)
        return CpuAutocastOptimWrapper(dtype=dtype, **kwargs)


class CpuAutocastOptimWrapper(OptimWrapper):
    """Run the forward pass under ``torch.autocast('cpu', bfloat16)``; no loss scaling is needed."""

    def __init__(self, dtype=None, **kwargs):
        if dtype not in (None, 'bfloat16'):
            raise InputError(f'mixed precision on the CPU is bfloat16, but dtype={dtype!r} was asked for')
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model):
        """Add autocast to the context of a training step."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


@OPTIMIZERS.register_module(name='AdamWScheduleFree')
class ScheduleFreeAdamW:
    """AdamW without a schedule (Defazio et al., The Road Less Scheduled, 2024), by the package ``schedulefree``.

    The learning rate stays as it is after ``warmup_steps``; drop ``param_scheduler``. :class:`ScheduleFreeHook`
    validates and saves the average of the weights.

    Args:
        params: Parameters or groups of them.
        lr (float): Learning rate; 1 to 10 times that of AdamW with a schedule.
        betas (tuple[float, float]): Interpolation with the average, and decay of the second moment.
        eps (float): Added to the denominator.
        weight_decay (float): Decoupled weight decay.
        warmup_steps (int): Steps of a linear warm-up.

    Raises:
        MissingDependencyError: If schedulefree is not installed.
    """

    def __new__(cls, params, lr=2.5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, warmup_steps=0):
        try:
            import schedulefree
        except ImportError as error:
            raise MissingDependencyError('AdamWScheduleFree needs schedulefree, which is not installed: '
                                         "pip install 'restorekit[schedulefree]'") from error
        return schedulefree.AdamWScheduleFree(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay,
                                              warmup_steps=warmup_steps)


def check_optimizer(cfg, where):
    """Build the optimizer of a config, and what wraps it, for one number: what they refuse is refused before training.

    Raises:
        ConfigError: With what they say.
    """
    wrapper = cfg.get('optim_wrapper')
    if not isinstance(wrapper, dict) or not isinstance(wrapper.get('optimizer'), dict):
        return
    wrapper = copy.deepcopy(dict(wrapper))
    optimizer, place = wrapper.pop('optimizer'), 'optim_wrapper.optimizer'
    for key in ('constructor', 'paramwise_cfg'):
        wrapper.pop(key, None)
    for key, value in optimizer.items():
        if isinstance(value, dict):
            raise ConfigError(f'{where}: {place}.{key} must be a number, True or False, or a list, but got a dict')
    betas = optimizer.get('betas')
    if isinstance(betas, (list, tuple, str)) and (isinstance(betas, str) or len(betas) < 2):
        raise ConfigError(f'{where}: {place}.betas must be a list of two numbers, but got {betas!r}')
    try:
        built = OPTIMIZERS.build(dict(optimizer, params=[torch.nn.Parameter(torch.zeros(1))]))
        place = 'optim_wrapper'
        OPTIM_WRAPPERS.build(dict(dict(type='OptimWrapper'), **wrapper, optimizer=built))
    except (RuntimeError, MissingDependencyError):  # what it needs it says when it is built
        return
    except (ValueError, TypeError, AssertionError) as error:
        raise ConfigError(f'{where}: {place}: {error}') from error
