"""Write the lists that configs name, DATA/lists/NAME_train.txt and NAME_val.txt: every third file by name validates.

python tools/research/split_lists.py DATA                        # all of FOLDERS that are there
python tools/research/split_lists.py DATA mine=photos/of/mine    # a folder of your own, below DATA
"""

import argparse
from pathlib import Path

from restorekit.datasets.scanner import scan_images

FOLDERS = dict(imagenet='clear_photos/imagenet', free='clear_photos/free', glow='night_glow_pairs/glow',
               lowlight='lowlight_real', fog='real_hazy/dawn_fog', web='real_hazy/web', night='real_hazy/night',
               dust='real_hazy/sand_dust')


def main():
    """Write the lists and print how many files each names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, metavar='DATA', help='folder of the data')
    parser.add_argument('folders', nargs='*', metavar='NAME=FOLDER', help='folders below DATA (default: FOLDERS)')
    args = parser.parse_args()
    folders = dict(folder.split('=', 1) for folder in args.folders) or \
        {name: folder for name, folder in FOLDERS.items() if (args.data / folder).is_dir()}
    (args.data / 'lists').mkdir(exist_ok=True)
    for name, folder in folders.items():
        files = list(scan_images(args.data / folder))
        for part, chosen in (('val', files[2::3]), ('train', [f for i, f in enumerate(files) if i % 3 != 2])):
            path = args.data / 'lists' / f'{name}_{part}.txt'
            path.write_text(''.join(f'{file}\n' for file in chosen))
            print(f'{path}: {len(chosen)} of {len(files)} files of {folder}')
    if not args.folders and FOLDERS.keys() - folders.keys():
        print(f'not there: {", ".join(FOLDERS[name] for name in sorted(FOLDERS.keys() - folders.keys()))}')


if __name__ == '__main__':
    main()
