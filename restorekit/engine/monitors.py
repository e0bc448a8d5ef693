"""Which numbers a validation gives, known before the first one."""

from restorekit.config import ConfigError
from restorekit.evaluation import ImageMetric
from restorekit.messages import did_you_mean


def validation_keys(runner):
    """Return the keys that a validation of ``runner`` gives.

    Returns:
        tuple[dict[str, bool], bool]: Each key with whether higher is better, in order; and whether these are all: a
        metric or dataset of another make may give more.
    """
    loop = runner.val_loop
    if loop is None:
        return {}, True
    leaves = getattr(loop.dataloader.dataset, 'leaves', None)
    domains = dict.fromkeys(leaf.domain for _, leaf in leaves()) if leaves else {}
    keys, complete = {}, bool(domains)
    for domain in domains:
        for metric in loop.evaluator.metrics:
            if isinstance(metric, ImageMetric):
                prefix = ''.join(f'{part}/' for part in (metric.prefix, domain) if part)
                keys[f'{prefix}{metric.label}'] = metric.higher_is_better
            else:
                complete = False
    return keys, complete


def monitored(runner, name, rule, place):
    """Return the key of a validation that ``name`` means, and its rule.

    Args:
        runner (Runner): Its validation loop is built.
        name (str): A key (``'val/PSNR@rgb'``); a metric's plain name (``'PSNR'``, ``'PSNR@rgb'``), which means the
            first key of that metric; or ``'auto'``: the first key.
        rule (str | None): ``'greater'`` or ``'less'``; None: as the metric says.
        place (str): Key of the config, for messages.

    Returns:
        tuple[str, str]: Key and rule.

    Raises:
        ConfigError: If the validation gives no such key, or the rule of an unknown one is not given.
    """
    keys, complete = validation_keys(runner)
    if rule not in (None, 'greater', 'less'):
        raise ConfigError(f"{place}: rule must be 'greater' or 'less', but got {rule!r}")
    if runner.val_loop is None:
        raise ConfigError(f'{place}={name!r}: this run has no validation to measure it in')
    plain = [key for key in keys if name in ('auto', key.rpartition('/')[2], key.rpartition('/')[2].partition('@')[0])]
    if name not in keys and plain:
        runner.logger.info(f'{place}={name!r} means {plain[0]}')
        name = plain[0]
    if name in keys:
        return name, rule or ('greater' if keys[name] else 'less')
    baselines = {f'{prefix}{slash}input_{label}': better for prefix, slash, label, better in
                 ((*key.rpartition('/'), better) for key, better in keys.items())}
    if name in baselines:
        return name, rule or ('greater' if baselines[name] else 'less')
    if complete:
        raise ConfigError(f'{place}={name!r}: the validation gives no such number; '
                          + did_you_mean(name, keys, f'it gives {", ".join(keys) or "none"}'))
    if rule is None:
        raise ConfigError(f"{place}={name!r}: no metric of restorekit gives it, so say whether 'greater' or 'less' is "
                          f'better: rule=...' + (f' (known: {", ".join(keys)})' if keys else ''))
    return name, rule
