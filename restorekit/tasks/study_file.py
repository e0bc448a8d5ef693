"""A study as its file states it, and the jobs that follow from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from restorekit.config import ConfigError, load_config
from restorekit.files.names import file_name
from restorekit.messages import nearest, unknown_name_message

DEFAULTS: dict[str, Any] = dict(base=None, options={}, domains=None, variants=None, seeds=[0, 1, 2], baseline=None,
                metric='PSNR@rgb', detect=0.2, hypothesis=None, analysis=None)
DOMAIN_KEYS, VARIANT_KEYS = ('options', 'test'), ('config', 'options', 'trials')


@dataclass(frozen=True)
class Job:
    """One training run of a study; ``trial`` counts the settings of the variant's hyper-parameters from 0."""

    variant: str
    domain: str
    seed: int
    trial: int = 0

    @property
    def name(self) -> str:
        """Its folder below the study's ``jobs``."""
        parts = [file_name(self.variant), file_name(self.domain), f'seed{self.seed}']
        return '/'.join(parts + ([f'trial{self.trial}'] if self.trial else []))


class Study:
    """A study file, read and checked.

    The file is a Python config with these keys:

    - ``base``: config that every variant without its own ``config`` trains; ``options`` (optional): changes for all.
    - ``variants``: name -> dict of ``config`` (optional), ``options`` (changes with dotted keys, as ``--cfg-options``)
      and ``trials`` (optional): a list of such options, of which the best by source-domain validation is reported;
      every variant has equally many.
    - ``domains``: name of a left-out domain -> dict of ``options``, which leave it out of training, and ``test``
      (default: its name): its sets in the validation data.
    - ``seeds``; ``baseline``: the variant the others are compared with (default: the first); ``metric``: the main
      metric's label; ``detect``: the difference that the study should be able to see, in the metric's unit.
    - ``hypothesis`` and ``analysis``: text, written before the first run and not changed after it.

    Args:
        file: Path of the study, or its name below ``configs/``.

    Raises:
        ConfigError: If a key is misspelt or missing, or the variants do not have equally many trials.
    """

    def __init__(self, file: str | os.PathLike[str]):
        cfg = load_config(file)
        self.file = Path(cfg.filename)
        given = {key: value for key, value in cfg.to_dict().items() if key not in ('default_scope', 'data_root')}
        for key in given:
            if key not in DEFAULTS and nearest(key, DEFAULTS, cutoff=0.7):  # others are the file's own variables
                raise ConfigError(f'{self.file}: ' + unknown_name_message(key, DEFAULTS, 'keys of a study'))
        self.settings: dict[str, Any] = {key: given.get(key, default) for key, default in DEFAULTS.items()}
        for key in ('domains', 'variants'):
            if not isinstance(self.settings[key], dict) or not self.settings[key]:
                raise ConfigError(f'{self.file}: {key} must be a dict of at least one {key[:-1]}, but got '
                                  f'{self.settings[key]!r}')
        for key, allowed in (('domains', DOMAIN_KEYS), ('variants', VARIANT_KEYS)):
            for name, entry in self.settings[key].items():
                wrong = [inner for inner in entry if inner not in allowed]
                if wrong:
                    raise ConfigError(f'{self.file}: {key[:-1]} {name!r}: '
                                      + unknown_name_message(wrong[0], allowed, f'keys of a {key[:-1]}'))
        for key in ('hypothesis', 'analysis'):
            if not isinstance(self.settings[key], str) or not self.settings[key].strip():
                raise ConfigError(f'{self.file}: {key} is missing; say before the first run what you '
                                  f'{"expect" if key == "hypothesis" else "will compare, and how"}')
        if not isinstance(self.settings['detect'], (int, float)) or not self.settings['detect'] > 0:
            raise ConfigError(f'{self.file}: detect is a difference in the unit of the metric, a number above 0, but '
                              f'got {self.settings["detect"]!r}')
        if self.baseline not in self.variants:
            raise ConfigError(f'{self.file}: baseline '
                              + unknown_name_message(self.baseline, self.variants, 'variants of this study'))
        counts = {name: len(entry.get('trials', [{}])) for name, entry in self.variants.items()}
        if len(set(counts.values())) > 1 or 0 in counts.values():
            raise ConfigError(f'{self.file}: every variant needs equally many trials of its hyper-parameters, at least '
                              f'one, but got {counts}')

    @property
    def variants(self) -> dict[str, dict]:
        """Name -> the variant."""
        variants: dict[str, dict] = self.settings['variants']
        return variants

    @property
    def domains(self) -> dict[str, dict]:
        """Name -> the left-out domain."""
        domains: dict[str, dict] = self.settings['domains']
        return domains

    @property
    def baseline(self) -> str:
        """The variant that others are compared with."""
        return str(self.settings['baseline'] or next(iter(self.variants)))

    def test_sets(self, domain: str) -> list[str]:
        """Return the names of a domain's sets in the validation data."""
        test = self.domains[domain].get('test', domain)
        return [test] if isinstance(test, str) else list(test)

    def jobs(self) -> list[Job]:
        """Return all jobs: seed by seed, so that a study cut off has whole seeds of all its cells."""
        trials = len(self.variants[self.baseline].get('trials', [{}]))
        return [Job(variant, domain, int(seed), trial) for seed in self.settings['seeds'] for trial in range(trials)
                for domain in self.domains for variant in self.variants]

    def options(self, job: Job, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the changes that make a job's config, the strongest last."""
        variant = self.variants[job.variant]
        trial = variant.get('trials', [{}])[job.trial]
        return {**self.settings['options'], **self.domains[job.domain].get('options', {}), **variant.get('options', {}),
                **trial, **(options or {}), 'randomness.seed': job.seed}

    def config(self, job: Job, data_root: str | os.PathLike[str] | None = None,
               options: Mapping[str, Any] | None = None) -> Config:
        """Return a job's config."""
        name = self.variants[job.variant].get('config') or self.settings['base']
        if name is None:
            raise ConfigError(f'{self.file}: variant {job.variant!r} has no config, and the study no base')
        beside = self.file.parent / name
        cfg = load_config(beside if beside.is_file() else name, self.options(job, options), data_root)
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []),
                            dict(type='PerImageHook', pictures=self.test_sets(job.domain))]
        return cfg

    def record(self) -> dict[str, Any]:
        """Return what the report needs to know of the study, as plain data."""
        settings = json.loads(json.dumps(self.settings, default=list))
        return dict(settings, file=self.file.name, baseline=self.baseline,
                    test_sets={name: self.test_sets(name) for name in self.domains},
                    jobs=[asdict(job) for job in self.jobs()])
