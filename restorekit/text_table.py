"""Tables as text; control characters and line breaks in cells, which come from names of files, are shown as escapes."""

from __future__ import annotations

from collections.abc import Container, Sequence

from restorekit.files.names import terminal_text

Row = Sequence[object]


def text_table(rows: Sequence[Row], left: Container[int] = (0,)) -> str:
    """Lay out rows of cells in columns: the columns of ``left`` are aligned to the left, the others to the right.

    Args:
        rows (Sequence[Sequence]): The header and the rows, equally long; cells become text.
        left (Container[int]): Numbers of the columns aligned to the left.

    Returns:
        str: A line for each row.

    Example:
        >>> print(text_table([('set', 'n'), ('sots', 10)]))
        set    n
        sots  10
    """
    return '\n'.join('  '.join(row).rstrip() for row in _padded(rows, left))


def markdown_table(rows: Sequence[Row], left: Container[int] = (0,)) -> str:
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


def latex_table(rows: Sequence[Row], left: Container[int] = (0,)) -> str:
    r"""Lay out rows of cells as a LaTeX tabular; arguments as of :func:`text_table`. Cells are LaTeX already.

    Example:
        >>> print(latex_table([('set', 'n'), ('sots', 10)]))
        \begin{tabular}{lr}
        \hline
        set  &  n \\
        \hline
        sots & 10 \\
        \hline
        \end{tabular}
    """
    columns = ''.join('l' if i in left else 'r' for i in range(len(rows[0])))
    header, *lines = (' & '.join(row) + r' \\' for row in _padded(rows, left))
    return '\n'.join([rf'\begin{{tabular}}{{{columns}}}', r'\hline', header, r'\hline', *lines, r'\hline',
                      r'\end{tabular}'])


def _piped(row: Sequence[str]) -> str:
    return f'| {" | ".join(row)} |'


def _padded(rows: Sequence[Row], left: Container[int]) -> list[list[str]]:
    texts = [[terminal_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [[cell.ljust(width) if i in left else cell.rjust(width)
             for i, (cell, width) in enumerate(zip(row, widths, strict=True))] for row in texts]
