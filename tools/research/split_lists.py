"""Write lists that split folders of images: every third file by sorted name is for validation.

python tools/research/split_lists.py DATA/lists imagenet=DATA/clear_photos/imagenet glow=DATA/night_glow_pairs/glow
"""

import sys
from pathlib import Path


def main(arguments):
    """Write NAME_train.txt and NAME_val.txt for each NAME=FOLDER."""
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    for argument in arguments[1:]:
        name, _, folder = argument.partition('=')
        files = sorted(path.name for path in Path(folder).iterdir() if path.is_file())
        for part, chosen in (('val', files[2::3]), ('train', [f for i, f in enumerate(files) if i % 3 != 2])):
            (out / f'{name}_{part}.txt').write_text('\n'.join(chosen) + '\n')
            print(f'{name}_{part}.txt: {len(chosen)} files')


if __name__ == '__main__':
    main(sys.argv[1:])
