"""``KEY=VALUE`` options."""

import json
import re

import yaml
from mmengine.config import DictAction


class OptionAction(DictAction):
    """``k=v`` pairs; a value may be a number, true/false/none, or a list or dict in YAML's flow form.

    Tuples, ``(1, 2)``, and lists without brackets, ``1,2``, are read as MMEngine reads them.
    """

    def __call__(self, parser, namespace, values, option_string=None):
        values = [self._checked(parser, value, option_string) for value in values]
        try:
            super().__call__(parser, namespace, values, option_string)
        except (yaml.YAMLError, ValueError, AssertionError, RecursionError) as error:  # what the two readers answer
            reason = ' '.join(str(error).split())
            parser.error(f'{option_string} {" ".join(values)}: a value cannot be read ({reason[:200]}); lists are '
                         'written [1,2], dicts {a: 1, b: 2}')

        for key, value in getattr(namespace, self.dest).items():
            if isinstance(value, _Unreadable):
                parser.error(f'{option_string} {key}: the value is not in YAML\'s flow form: {value}')

    @staticmethod
    def _checked(parser, pair, option):
        key, equals, value = pair.partition('=')
        key = re.sub(r'\[(\d+)\]', r'.\1', key.strip())  # an item of a list, as Python writes it
        if not equals or '' in key.split('.'):
            parser.error(f'{option} takes KEY=VALUE, but got {pair!r}')
        if re.match(r'\s*dict\s*\(', value):
            parser.error(f"{option} {pair}: a dict is written in YAML's flow form, {{a: 1, b: 2}}, not dict(a=1, b=2)")
        return f'{key}={value}'

    @staticmethod
    def _parse_iterable(value):
        text = value.strip()
        if text.lower() == 'none':
            return None
        if text.startswith(('{', '[')) and (text.startswith('{') or '{' in text or '(' not in text):
            try:
                data = yaml.safe_load(text)
                json.dumps(data, default=str)
                return _numbers(data)
            except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError: it holds itself
                return _Unreadable(' '.join(str(error).split()))
        try:
            return DictAction._parse_iterable(value)
        except AssertionError as error:  # brackets that do not match
            return _Unreadable(error)


class _Unreadable(Exception):
    """A value that could not be read."""


def _numbers(value):
    """Read what YAML 1.1 takes for text: ``1e-3`` and ``None``."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, str):
        return None if value.lower() == 'none' else DictAction._parse_int_float_bool(value)
    return value
