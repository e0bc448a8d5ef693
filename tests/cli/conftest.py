from remembered import remembered  # noqa: F401
