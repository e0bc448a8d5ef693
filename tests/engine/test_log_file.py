import logging
import shutil

from mmengine.config import Config
from mmengine.logging import print_log
from tiny import config

from restorekit.engine import RestoreRunner


def test_the_log_outlives_what_closes_the_handlers_of_everybody_and_its_folder(tmp_path):
    runner = RestoreRunner.from_cfg(Config(config(tmp_path / 'run', iters=1), format_python_code=False))
    log, = (tmp_path / 'run').glob('*/*.log')

    def say(text):
        for handler in runner.logger.handlers:
            handler.close()  # as logging.config.dictConfig does
        print_log(text, runner.logger, logging.ERROR)
    say('the first line')
    say('the second line \udcff')  # of a name that is not UTF-8
    first, second = log.read_text().splitlines()[-2:]
    assert first.endswith('the first line') and second.endswith('the second line \\xff')
    shutil.rmtree(tmp_path / 'run')
    say('the third line')
    assert not (tmp_path / 'run').exists()
