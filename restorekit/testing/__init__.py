"""Contract tests as functions, for restorekit's components and yours."""

from .contracts import (
                        check_alignment,
                        check_dataset,
                        check_decoder,
                        check_degradation,
                        check_encoder,
                        check_loss,
                        check_metric,
                        check_network,
                        check_reweighter,
)

__all__ = ['check_alignment', 'check_dataset', 'check_decoder', 'check_degradation', 'check_encoder', 'check_loss',
           'check_metric', 'check_network', 'check_reweighter']
