"""How far a run is, for whoever shows it."""

from mmengine.hooks import Hook


class ProgressHook(Hook):
    """Calls ``progress(done, total)``: iterations of a training run, images of a test.

    Args:
        progress (Callable): Takes two whole numbers; called on the main process and every other.
        done (int): Number of images of a test that were measured before.
    """

    def __init__(self, progress, done=0):
        self.progress, self.done = progress, done

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Tell the iterations done and those of the run."""
        self.progress(runner.iter + 1, runner.max_iters)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Tell the images measured and those of the test."""
        self.done += len(outputs)
        self.progress(self.done, len(runner.test_loop.dataset))
