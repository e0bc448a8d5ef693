"""What MMEngine's hub asks of a package (``mmengine.hub.get_model('restorekit::cid/cid_quickstart.py')``)."""


def register_all_modules():
    """Import everything that registers a component."""
    from mmengine.registry import Registry

    from . import registry
    for value in vars(registry).values():
        if isinstance(value, Registry):
            value.import_from_location()
