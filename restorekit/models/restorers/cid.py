"""The CID restorer: reweighting, alignment and consistency around any network with an embedding."""

import torch

from restorekit.distributed import world_size
from restorekit.functional.ranges import rescale
from restorekit.messages import InputError, refuse_unused
from restorekit.registry import MODELS

from .restorer import Restorer


@MODELS.register_module()
class CIDRestorer(Restorer):
    r"""Train a network with the three ingredients of CID, each optional.

    With per-sample losses :math:`l_i`, reweighting weights :math:`w_i` (sum 1) and pooled embeddings :math:`z`
    ("Towards Real-World Scene Recovery"):

    .. math:: L = \sum_i w_i l_i + a\,\tfrac1n\sum_i l_i + L_{align}(z_s, z_t) + L_{cons}(x_t)

    Without a reweighter the first two terms are the plain mean; with ``group_weighting`` its weights take the place of
    both. Alignment and consistency need target images in the
    batch (:class:`DomainPairDataset`). Weights are computed from detached embeddings; alignment's gradient reaches
    every trainable layer before the embedding.

    Args:
        reweighter (dict, optional): (N, d) to (N,), for example ``DecorrelationReweighter``.
        alignment (dict, optional): (n, d), (m, d) to scalar, for example ``CORALLoss``. Rows are pooled embeddings,
            unless it makes its own with ``rows(embedding map)``. ``embedding_std_source`` and ``embedding_std_target``
            are logged with it (:class:`EmbeddingMonitorHook` warns when they collapse).
        consistency (dict, optional): Loss on unlabelled images, for example ``MeanTeacherConsistency``.
        group_weighting (dict, optional): Weights from the samples' losses and domains, for example ``GroupDRO``; not
            with a reweighter.
        align (str): What alignment compares: 'target', the batch with its target images; or 'sources', the source
            domains in the batch with each other, pair by pair, which needs no image of the target (domain
            generalisation, as Gulrajani and Lopez-Paz do in "In search of lost domain generalization", 2021).
        anchor (float): Weight a of the un-reweighted term beside the reweighted one, >= 0.
        share_interval (int): Every so many iterations, log ``align_grad_share``: the norm of alignment's gradient
            over the sum of its norm and that of all other terms, on the parameters that make the embedding.
        **kwargs: See :class:`Restorer`.
    """

    shardable = False

    def __init__(self, network, reweighter=None, alignment=None, consistency=None, anchor=1.0, share_interval=20,
                 group_weighting=None, align='target', **kwargs):
        super().__init__(network, **kwargs)
        if align not in ('target', 'sources'):
            raise InputError(f"align must be 'target' or 'sources', but got {align!r}")
        if reweighter and group_weighting:
            raise InputError('a reweighter and group_weighting both set the weights of the samples; drop one')
        if anchor < 0:
            raise InputError(f'anchor must be at least 0, but got {anchor}')
        if not reweighter:
            refuse_unused(self, dict(anchor=anchor), 'a reweighter', 'none')
        if not alignment:
            refuse_unused(self, dict(align=align), 'an alignment', 'none')
        if (reweighter or alignment) and self.network.embedding_dim is None:
            raise InputError(f'{type(self.network).__name__} has no embedding, so it cannot be reweighted or aligned; '
                             'use a network with embed(x), such as EncoderDecoder, or drop both')
        self.reweighter = self._build(reweighter, 'bank_size')
        self.alignment = self._build(alignment, 'queue_size')
        self.consistency = MODELS.build(consistency) if consistency else None
        if self.consistency is not None and hasattr(self.consistency, 'bind'):
            self.consistency.bind(self.network)
        self.group_weighting = MODELS.build(group_weighting) if group_weighting else None
        self.anchor, self.share_interval, self.align = anchor, share_interval, align
        self._calls = 0

    def start_at(self, iteration):
        """Count on from an iteration: the training loop says where it starts."""
        self._calls = iteration

    def _build(self, ingredient, memory):
        """Build an ingredient; one with a memory of ``memory`` rows is told their dimension."""
        if isinstance(ingredient, dict) and 'type' in ingredient and (
                ingredient.get(memory)
                or getattr(MODELS.get(ingredient['type']), 'needs_embedding_dim', False)):
            ingredient = dict(ingredient, embedding_dim=ingredient.get('embedding_dim', self.network.embedding_dim))
        return MODELS.build(ingredient) if ingredient else None

    def loss(self, inputs, data_samples, target=None, features=None, target_features=None):
        """Compute the supervised losses and those of the ingredients; see the class."""
        if ((self.alignment and self.align == 'target') or self.consistency) and target is None:
            raise InputError('alignment and consistency look at target-domain images, but the batch has none; make '
                             "train_dataloader.dataset a DomainPairDataset (or drop them with alignment=None)")
        gt = self.ground_truth(data_samples)
        embeds = self.reweighter is not None or self.alignment is not None or 'embedding' in self._needed
        smaller, output, known = self.outputs(inputs, features, embeds)
        embedding = known.get('embedding')
        weight, logged = self._weights(embedding)
        pred = self.to_unit(output, data_samples)
        extras = self.extras(inputs, data_samples, embedding=embedding)
        if self.group_weighting is not None:
            weight, logged = self._group_weights(pred, gt, extras, data_samples)
        losses = self.supervised_losses(pred, gt, weight, extras)
        losses.update(logged)
        losses.update(self.intermediate_losses(smaller, gt, weight))
        if self.consistency is not None:
            losses['loss_consistency'] = self.consistency(self.network, target)
        if self.alignment is not None:
            if self.align == 'sources':
                aligned, maps = self._align_sources(embedding, inputs, data_samples), (embedding,)
            else:
                maps = embedding, self.network.embed(target) if target_features is None else \
                    self.network.decoder.embed(target_features)
                aligned = self._aligned(*maps, inputs, target)
            losses.update((f'embedding_std_{domain}', spread(values))
                          for domain, values in zip(('source', 'target'), maps, strict=False))
            share = self._gradient_share(aligned, sum(v for k, v in losses.items() if k.startswith('loss')))
            losses['loss_align'] = aligned
            if share is not None:
                losses['align_grad_share'] = share
        self._calls += 1
        return losses

    def _aligned(self, source, target, source_images, target_images):
        """Alignment of two embedding maps, which gets the images too where it asks for them."""
        rows = map(getattr(self.alignment, 'rows', pool), (source, target))
        images = [rescale(x, self.network.input_range).clamp(0, 1) for x in (source_images, target_images)] \
            if getattr(self.alignment, 'needs_images', False) else []
        return self.alignment(*rows, *images)

    def _align_sources(self, embedding, inputs, data_samples):
        """Mean alignment of the pairs of source domains that have enough images in this batch."""
        if world_size() > 1:
            raise InputError("align='sources' compares the domains of one process's batch; train in one process, or "
                             "use align='target'")
        domains = [str(sample.get('domain')) for sample in data_samples]
        places = [[i for i, other in enumerate(domains) if other == name] for name in sorted(set(domains))]
        smallest = getattr(self.alignment, 'smallest_batch', 1)
        places = [place for place in places if len(place) >= smallest]
        terms = [self._aligned(embedding[a], embedding[b], inputs[a], inputs[b])
                 for k, a in enumerate(places) for b in places[k + 1:]]
        return torch.stack(terms).mean() if terms else embedding.sum() * 0

    def _group_weights(self, pred, gt, extras, data_samples):
        """Weights per sample (their mean over all ranks times the losses is the loss), and what is logged."""
        with torch.no_grad():
            each = torch.stack([sum(self.supervised_losses(
                pred[i:i + 1], gt[i:i + 1], extras={key: value if value is None else value[i:i + 1]
                                                    for key, value in extras.items()}).values())
                for i in range(len(pred))])
        weights = self.group_weighting(each, [sample.get('domain') for sample in data_samples])
        return weights, {'group_weight_max': weights.max()}

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
