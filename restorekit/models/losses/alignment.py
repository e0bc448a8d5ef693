"""What every alignment loss shares: rows over processes, precision, a queue, the choice of samples."""

import torch
from torch import nn

from restorekit.distributed import gather_rows
from restorekit.functional.precision import at_least_float32, no_autocast
from restorekit.messages import InputError

SAMPLES = ('pooled', 'tokens')


class Alignment(nn.Module):
    """Base of losses that pull source and target embeddings together.

    A subclass defines ``distance(source, target) -> scalar`` for float32 or float64 rows (n, d) and (m, d), computed
    with autocast off. Distributed, the rows of all processes are compared, with gradients.

    Args:
        loss_weight (float): Factor of the whole loss.
        samples (str): What a row is: 'pooled', the mean of an image's embedding map over its positions, or 'tokens',
            single positions of it, which give covariances of full rank but compare texture as much as domain. The
            restorer makes the rows with :meth:`rows`.
        tokens_per_image (int, optional): Positions drawn per image (default: 16), with ``samples='tokens'`` only;
            neighbours are nearly equal, so a few tell as much as all.
        queue_size (int): Target rows of former batches (no gradient) that are compared too, first in first out, in
            training mode. They steady the target's side of a small batch.
        embedding_dim (int | None): d; needed with a queue, and given by the restorer.

    Raises:
        ValueError: For an option out of range, or batches that are too small or differ in d.
    """

    smallest_batch = 2

    def __init__(self, loss_weight=1.0, samples='pooled', tokens_per_image=None, queue_size=0, embedding_dim=None):
        super().__init__()
        name = type(self).__name__
        if samples not in SAMPLES:
            raise InputError(f'{name}: samples must be one of {", ".join(map(repr, SAMPLES))}, but got {samples!r}')
        if tokens_per_image is not None and samples != 'tokens':
            raise InputError(f"{name}: tokens_per_image is for samples='tokens', but got samples={samples!r} and "
                             f'tokens_per_image={tokens_per_image}')
        tokens_per_image = 16 if tokens_per_image is None else tokens_per_image
        if tokens_per_image < 1:
            raise InputError(f'{name}: tokens_per_image must be at least 1, but got {tokens_per_image}')
        if queue_size < 0 or (queue_size and not embedding_dim):
            raise InputError(f'{name}: a queue needs queue_size >= 0 and embedding_dim, but got '
                             f"queue_size={queue_size} and embedding_dim={embedding_dim}; embedding_dim is the "
                             "network's attribute of that name")
        self.loss_weight, self.samples, self.tokens_per_image = loss_weight, samples, tokens_per_image
        self.queue_size, self.embedding_dim = queue_size, embedding_dim
        if queue_size:
            # the newest rows last; the last queue_count of them are filled
            self.register_buffer('queue', torch.zeros(queue_size, embedding_dim))
            self.register_buffer('queue_count', torch.zeros((), dtype=torch.long))

    def distance(self, source, target):
        """Return the loss, without its weight, of rows (n, d) and (m, d)."""
        raise TypeError(f'{type(self).__name__} does not define distance(source, target)')

    def rows(self, embedding):
        """Return the rows of an embedding map (N, d, h, w): (N, d) or (N * tokens, d).

        Positions are drawn from torch's global generator.
        """
        if self.samples == 'pooled':
            return embedding.mean(dim=(-2, -1))
        tokens = embedding.flatten(2).mT
        count = min(self.tokens_per_image, tokens.shape[1])
        # the CPU's generator, so that a seed gives the same positions on every device
        chosen = torch.rand(tokens.shape[:2]).argsort(dim=1)[:, :count].to(tokens.device)
        return tokens.gather(1, chosen[..., None].expand(-1, -1, tokens.shape[2])).flatten(0, 1)

    def forward(self, source, target):
        """Return the weighted loss.

        Args:
            source (Tensor): (n, d).
            target (Tensor): (m, d).
        """
        if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1] or source.shape[1] == 0:
            raise InputError(f'alignment takes source (n, d) and target (m, d), but got {tuple(source.shape)} and '
                             f'{tuple(target.shape)}; make rows of a map with alignment.rows(embedding)')
        if self.embedding_dim not in (None, target.shape[1]):
            raise InputError(f'{type(self).__name__} was built with embedding_dim={self.embedding_dim}, the embedding '
                             f'has {target.shape[1]} dimensions')
        with no_autocast(source):
            source, target = at_least_float32(gather_rows(source), gather_rows(target))
            if min(len(source), len(target)) < self.smallest_batch:
                raise InputError(f'{type(self).__name__} needs at least {self.smallest_batch} samples of each domain '
                                 f'over all processes, but got {len(source)} source and {len(target)} target; raise '
                                 'train_dataloader.batch_size')
            if self.queue_size:
                target = self._with_queue(target)
            return self.loss_weight * self.distance(source, target)

    def _with_queue(self, target):
        queued = self.queue[self.queue_size - int(self.queue_count):].to(target)
        new = target.detach()
        if self.training and bool(new.isfinite().all()):
            self.queue = torch.cat([self.queue, new.to(self.queue)])[-self.queue_size:]
            self.queue_count += min(len(new), self.queue_size - int(self.queue_count))
        return torch.cat([queued, target])
