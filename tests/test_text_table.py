from restorekit.text_table import markdown_table, text_table

ROWS = [('set', 'metric', 'n'), ('sots', 'PSNR', 10), ('a', '', 7)]


def test_columns_are_as_wide_as_their_widest_cell():
    assert text_table(ROWS, left=(0, 1)).split('\n') == ['set   metric   n', 'sots  PSNR    10', 'a              7']
    assert text_table([('a', 'b'), ('cc', '')], left=range(2)).split('\n') == ['a   b', 'cc']


def test_a_markdown_table_says_which_columns_are_numbers():
    assert markdown_table(ROWS).split('\n') == [
        '| set  | metric |  n |', '|------|-------:|---:|', '| sots |   PSNR | 10 |', '| a    |        |  7 |']
