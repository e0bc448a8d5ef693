"""The only file that patches mmengine. Filled by the compat branch."""


def patch_mmengine():
    """Make mmengine's torch-free half whole."""


def patch_runner():
    """Make mmengine's runner half whole (imports torch)."""
