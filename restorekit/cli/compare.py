"""Say which of two test reports is better, by set and metric, with a paired test over images."""

import json
from pathlib import Path


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('a', metavar='A', help='folder of a report (tools/test.py ... --out A)')
    parser.add_argument('b', metavar='B', help='folder of the other')
    parser.add_argument('--json', metavar='FILE', help='write the comparison there too')


def run(args):
    """Compare; returns the exit status."""
    from restorekit.evaluation.comparison import compare_reports
    from restorekit.evaluation.report_tables import digits_of
    from restorekit.text_table import text_table
    found = compare_reports(args.a, args.b)
    print(f'A: {args.a}\nB: {args.b}\n')
    lines = [['set', 'metric', 'n', 'A', 'B', 'B - A', '95 % interval', 'p', 'p (Holm)', 'B better on', 'A better on']]
    for row in found['rows']:
        digits = digits_of(row['mean_a'])
        lines.append([row['set'], row['label'], str(row['n']), f'{row["mean_a"]:.{digits}f}',
                      f'{row["mean_b"]:.{digits}f}', f'{row["difference"]:+.{digits}f}',
                      '' if row['low'] is None else f'{row["low"]:+.{digits}f} to {row["high"]:+.{digits}f}',
                      f'{row["p"]:.2g}', f'{row["p_holm"]:.2g}', str(row['wins']), str(row['losses'])])
    print(text_table(lines, left=(0, 1)) + '\n')
    for row in found['rows']:
        print(row['sentence'])
    for text in found['cautions']:
        print(f'\ncaution: {text}')
    if found['missing']:
        print(f'\nNot compared, since only one report measured them ({len(found["missing"])}):')
        print('\n'.join(f'  {text}' for text in found['missing'][:10]))
        if len(found['missing']) > 10:
            print('  ...')
    if args.json:
        from restorekit.files.atomic import atomic_write_text
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(dict(a=str(args.a), b=str(args.b), **found), indent=2) + '\n', args.json)
        print(f'\nWritten to {args.json}')
    return 0
