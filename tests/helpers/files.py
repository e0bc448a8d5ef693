"""Files as an interrupted process leaves them."""

import multiprocessing

from restorekit.files.atomic import _host


def _dead_pid():
    process = multiprocessing.get_context('fork').Process(target=int)
    process.start()
    process.join()
    return process.pid


#: Name of a temporary file that a killed process of this machine left.
DEAD_TEMPORARY = f'.rk-{_host()}-{_dead_pid()}-0.tmp'
