"""Test reports of given numbers, and the tables in them."""

import re

from restorekit.evaluation import get_protocol
from restorekit.evaluation.report import summarise, write_report


def report(folder, values, label='PSNR@rgb', higher=True, list_hash='1' * 64, inputs=None, versions=None):
    """Write a report of {set: numbers}."""
    quantity, _, name = label.partition('@')
    protocol = get_protocol(name)
    metric = dict(label=label, quantity=quantity, unit='dB', higher_is_better=higher, protocol=protocol.settings,
                  fingerprint=protocol.fingerprint)
    rows = [dict(index=0, domain=domain, image=f'{i}.png', broken=False,
                 values=[[value, None if inputs is None else inputs[i]]])
            for domain, numbers in values.items() for i, value in enumerate(numbers)]
    for i, row in enumerate(rows):
        row['index'] = i
    provenance = dict(model='m', command='c', config='c', config_sha256='0', checkpoint_sha256=None, date='d',
                      versions=versions or {}, decoders={}, device='CPU', processes=1, threads=1)
    write_report(folder, summarise(rows, [metric], dict.fromkeys(values, list_hash), provenance, {}), rows, {})
    return folder


def cells(text):
    """The cells of every line of a Markdown table in a text, without the rule."""
    lines = [line[1:-1] for line in text.splitlines() if line.startswith('|') and not set(line) <= {*'|-: '}]
    return [[cell.strip() for cell in re.split(r'(?<!\\)\|', line)] for line in lines]
