"""What tools/ and the ``restorekit`` command call. No module here imports torch before its arguments are parsed."""
