"""Checkpoints that are data: read without running code, written whole or not at all.

Everything that reads a checkpoint file goes through :func:`load_checkpoint_file`; everything that writes one goes
through :func:`plain` and :func:`atomic_save`.
"""

from .network import (
    build_described_network,
    checkpoint_record,
    load_matching_weights,
    load_network_weights,
    network_config_from_json,
    network_description,
    network_differences,
    network_json,
    network_state,
)
from .plain import HISTORY, CheckpointWriteError, atomic_save, plain, restore_history
from .read import CheckpointError, load_checkpoint_file, load_from_http
from .state_dict import state_dict_problems, weights_digest

__all__ = [
    'HISTORY', 'CheckpointError', 'CheckpointWriteError', 'atomic_save', 'build_described_network',
    'checkpoint_record', 'load_checkpoint_file', 'load_from_http', 'load_matching_weights', 'load_network_weights',
    'network_config_from_json', 'network_description', 'network_differences', 'network_json', 'network_state', 'plain',
    'restore_history', 'state_dict_problems', 'weights_digest',
]
