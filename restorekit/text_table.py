"""Tables as text."""


def text_table(rows, left=(0,)):
    """Lay out rows of cells in columns; those of ``left`` stand to the left, the others, numbers, to the right.

    Args:
        rows (list[Sequence]): The header and the rows, equally long; cells become text.
        left (Container[int]): Columns.

    Returns:
        str: A line for each row.

    Example:
        >>> print(text_table([('set', 'n'), ('sots', 10)]))
        set    n
        sots  10
    """
    return '\n'.join('  '.join(row).rstrip() for row in _padded(rows, left))


def markdown_table(rows, left=(0,)):
    """Lay out rows of cells as a Markdown table; arguments as of :func:`text_table`.

    Example:
        >>> print(markdown_table([('set', 'n'), ('sots', 10)]))
        | set  |  n |
        |------|---:|
        | sots | 10 |
    """
    header, *lines = _padded(rows, left)
    rule = '|'.join('-' * (len(cell) + 1) + ('-' if i in left else ':') for i, cell in enumerate(header))
    return '\n'.join([_piped(header), f'|{rule}|', *map(_piped, lines)])


def _piped(row):
    return f'| {" | ".join(row)} |'


def _padded(rows, left):
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.ljust(width) if i in left else cell.rjust(width)
             for i, (cell, width) in enumerate(zip(row, widths, strict=True))] for row in rows]
