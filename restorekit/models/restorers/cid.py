"""The CID restorer: reweighting, alignment and consistency around any network with an embedding."""

import torch

from restorekit.distributed import world_size
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .restorer import Restorer


@MODELS.register_module()
class CIDRestorer(Restorer):
    r"""Train a network with the three ingredients of CID, each optional.

    With per-sample losses :math:`l_i`, reweighting weights :math:`w_i` (sum 1) and pooled embeddings :math:`z`
    ("Towards Real-World Scene Recovery"):

    .. math:: L = \sum_i w_i l_i + a\,\tfrac1n\sum_i l_i + L_{align}(z_s, z_t) + L_{cons}(x_t)

    Without a reweighter the first two terms are the plain mean. Alignment and consistency need target images in the
    batch (:class:`DomainPairDataset`). Weights are computed from detached embeddings; alignment's gradient reaches
    every trainable layer before the embedding.

    Args:
        reweighter (dict, optional): (N, d) to (N,), for example ``DecorrelationReweighter``.
        alignment (dict, optional): (n, d), (m, d) to scalar, for example ``CORALLoss``. Rows are pooled embeddings,
            unless it makes its own with ``rows(embedding map)``. ``embedding_std_source`` and ``embedding_std_target``
            are logged with it (:class:`EmbeddingMonitorHook` warns when they collapse).
        consistency (dict, optional): Loss on unlabelled images, for example ``MeanTeacherConsistency``.
        anchor (float): Weight a of the un-reweighted term beside the reweighted one, >= 0.
        share_interval (int): Every so many iterations, log ``align_grad_share``: the norm of alignment's gradient
            over the sum of its norm and that of all other terms, on the parameters that make the embedding.
        **kwargs: See :class:`Restorer`.
    """

    def __init__(self, network, reweighter=None, alignment=None, consistency=None, anchor=1.0, share_interval=20,
                 **kwargs):
        super().__init__(network, **kwargs)
        if anchor < 0:
            raise InputError(f'anchor must be at least 0, but is {anchor}')
        if (reweighter or alignment) and self.network.embedding_dim is None:
            raise InputError(f'{type(self.network).__name__} has no embedding, so it cannot be reweighted or aligned; '
                             'use a network with embed(x), such as EncoderDecoder, or drop both')
        self.reweighter = self._build(reweighter, 'bank_size')
        self.alignment = self._build(alignment, 'queue_size')
        self.consistency = MODELS.build(consistency) if consistency else None
        if self.consistency is not None and hasattr(self.consistency, 'bind'):
            self.consistency.bind(self.network)
        self.anchor, self.share_interval = anchor, share_interval
        self._calls = 0

    def _build(self, ingredient, memory):
        """Build an ingredient; one with a memory of ``memory`` rows is told their dimension."""
        if ingredient and ingredient.get(memory):
            ingredient = dict(ingredient, embedding_dim=ingredient.get('embedding_dim', self.network.embedding_dim))
        return MODELS.build(ingredient) if ingredient else None

    def loss(self, inputs, data_samples, target=None):
        """Compute the supervised losses and those of the ingredients; see the class."""
        if (self.alignment or self.consistency) and target is None:
            raise InputError('alignment and consistency look at target-domain images, but the batch has none; make '
                             "train_dataloader.dataset a DomainPairDataset (or drop them with alignment=None)")
        gt = self.ground_truth(data_samples)
        if self.reweighter is None and self.alignment is None:
            output = self.network(inputs)
            losses = self.supervised_losses(self.to_unit(output, data_samples), gt)
        else:
            output, embedding = self.network.forward_features(inputs)
            weight, logged = self._weights(embedding)
            losses = self.supervised_losses(self.to_unit(output, data_samples), gt, weight)
            losses.update(logged)
        if self.consistency is not None:
            losses['loss_consistency'] = self.consistency(self.network, target)
        if self.alignment is not None:
            maps = embedding, self.network.embed(target)
            aligned = self.alignment(*map(getattr(self.alignment, 'rows', pool), maps))
            losses.update((f'embedding_std_{domain}', spread(values))
                          for domain, values in zip(('source', 'target'), maps, strict=True))
            share = self._gradient_share(aligned, sum(v for k, v in losses.items() if k.startswith('loss')))
            losses['loss_align'] = aligned
            if share is not None:
                losses['align_grad_share'] = share
        self._calls += 1
        return losses

    def _weights(self, embedding):
        """Per-sample weights (mean 1 + anchor over all ranks) and what the reweighter logs."""
        if self.reweighter is None:
            return None, {}
        source = pool(embedding.detach())
        weights = self.reweighter(source)
        log = {f'reweight_{name}': source.new_tensor(value) for name, value in self.reweighter.log.items()}
        return weights * (len(source) * world_size()) + self.anchor, log

    def _gradient_share(self, aligned, others):
        """Alignment's share of the gradient, on the parameters both terms reach; None between measurements."""
        if self._calls % self.share_interval or not torch.is_grad_enabled():
            return None
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        of_align = torch.autograd.grad(aligned, parameters, retain_graph=True, allow_unused=True) \
            if aligned.requires_grad else [None] * len(parameters)
        reached = [(p, g) for p, g in zip(parameters, of_align, strict=True) if g is not None]
        if not reached:
            raise InputError('alignment reaches no trainable parameter: every layer before the embedding is frozen; '
                             'leave the block that makes the embedding trainable (freeze network.encoder only)')
        of_others = torch.autograd.grad(others, [p for p, _ in reached], retain_graph=True, allow_unused=True)
        align = torch.stack([g.norm() for _, g in reached]).norm()
        other = torch.stack([g.norm() for g in of_others if g is not None] or [align.new_zeros(())]).norm()
        return (align / (align + other).clamp_min(1e-12)).detach()


def pool(embedding):
    """Average an embedding map (N, C, h, w) over its positions: (N, C)."""
    return embedding.mean(dim=(-2, -1))


@torch.no_grad()
def spread(embedding):
    """Standard deviation over images of the pooled embedding, averaged over its dimensions: what collapses to 0."""
    return pool(embedding).float().std(dim=0, correction=0).mean()
