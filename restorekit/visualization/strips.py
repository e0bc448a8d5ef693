"""Pictures of results: strips and contact sheets."""

import cv2
import numpy as np


def strip(images, height=None, gap=4):
    """Put images of one scene side by side.

    Args:
        images (list[ndarray]): uint8 (H, W, 3) RGB.
        height (int, optional): Common height in pixels; default: that of the first.
        gap (int): White pixels between two images.

    Returns:
        ndarray: uint8 RGB.
    """
    height = height or images[0].shape[0]
    scaled = [_to_height(image, height) for image in images]
    white = np.full((height, gap, 3), 255, np.uint8)
    parts = [scaled[0]]
    for image in scaled[1:]:
        parts += [white, image]
    return np.hstack(parts)


def contact_sheet(rows, titles=None, labels=None, height=160, gap=4):
    """Arrange rows of images with column titles and row labels.

    Args:
        rows (list[list[ndarray]]): uint8 (H, W, 3) RGB images.
        titles (list[str], optional): One for each column.
        labels (list[str], optional): One for each row, written into its first image.
        height (int): Height of a row in pixels.
        gap (int): White pixels between images.

    Returns:
        ndarray: uint8 RGB.
    """
    rows = [[_to_height(image, height) for image in row] for row in rows]
    columns = max(map(len, rows))
    widths = [max(row[i].shape[1] for row in rows if i < len(row)) for i in range(columns)]
    lines = []
    if titles:
        header = np.full((24, sum(widths) + gap * (columns - 1), 3), 255, np.uint8)
        x = 0
        for title, width in zip(titles, widths, strict=False):
            _write(header, title, x + 4, 17, (0, 0, 0))
            x += width + gap
        lines.append(header)
    for number, row in enumerate(rows):
        cells = []
        for i, width in enumerate(widths):
            cell = np.full((height, width, 3), 255, np.uint8)
            if i < len(row):
                cell[:, :row[i].shape[1]] = row[i]
            cells.append(cell)
        line = strip(cells, height, gap)
        if labels and labels[number]:
            cv2.rectangle(line, (0, 0), (9 * len(labels[number]) + 8, 22), (0, 0, 0), -1)
            _write(line, labels[number], 5, 16, (255, 255, 255))
        lines += [line, np.full((gap, line.shape[1], 3), 255, np.uint8)]
    return np.vstack(lines[:-1])


def _to_height(image, height):
    if image.shape[0] == height:
        return image
    width = max(round(image.shape[1] * height / image.shape[0]), 1)
    shrinking = height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def _write(image, text, x, y, colour):
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
