"""Pictures of results: strips, contact sheets and what goes into them."""

import cv2
import numpy as np

from restorekit.messages import InputError

# error panels saturate at a quarter of full scale: dehazers err by 0.02 to 0.2
ERROR_GAIN = 4


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


def contact_sheet(rows, titles=None, labels=None, height=160, gap=4, captions=None):
    """Arrange rows of images with column titles and row labels.

    Args:
        rows (list[list[ndarray | None]]): uint8 (H, W, 3) RGB images; None leaves a cell white.
        titles (list[str], optional): One for each column.
        labels (list[str], optional): One for each row, written into its first image.
        height (int): Height of a row in pixels.
        gap (int): White pixels between images.
        captions (list[str], optional): One for each row, of one or more lines, written above it and wrapped to the
            sheet's width.

    Returns:
        ndarray: uint8 RGB.

    Example:
        >>> image = np.zeros((60, 80, 3), np.uint8)
        >>> contact_sheet([[image, image]], ['hazy', 'clear'], captions=['street 7']).shape
        (204, 430, 3)
    """
    rows = [[None if image is None else _to_height(image, height) for image in row] for row in rows]
    columns = max(map(len, rows))
    widths = [max([row[i].shape[1] for row in rows if i < len(row) and row[i] is not None], default=1)
              for i in range(columns)]
    total = sum(widths) + gap * (columns - 1)
    lines = []
    if titles:
        header = [_text_line(title, width, 24) for title, width in zip(titles, widths, strict=False)]
        lines.append(_wide(strip(header, 24, gap), total))
    for number, row in enumerate(rows):
        cells = []
        for i, width in enumerate(widths):
            cell = np.full((height, width, 3), 255, np.uint8)
            if i < len(row) and row[i] is not None:
                cell[:, :row[i].shape[1]] = row[i]
            cells.append(cell)
        line = strip(cells, height, gap)
        if labels and labels[number]:
            cv2.rectangle(line, (0, 0), (9 * len(labels[number]) + 8, 22), (0, 0, 0), -1)
            _write(line, labels[number], 5, 16, (255, 255, 255))
        if captions:
            lines += [_text_line(text, total, 18, 0.38) for text in _wrap(captions[number], total - 8, 0.38)]
        lines += [line, np.full((gap, total, 3), 255, np.uint8)]
    return np.vstack(lines[:-1])


def error_image(pred, gt, gain=ERROR_GAIN):
    """Absolute error per channel, times ``gain``: black where equal, white from 1 / ``gain`` of full scale on.

    The gain is fixed, so that pictures of different times and runs compare; a coloured error is a colour cast.

    Args:
        pred (ndarray): uint8 (H, W, 3).
        gt (ndarray): uint8 (H, W, 3).
        gain (int): Factor.

    Returns:
        ndarray: uint8 (H, W, 3), ``min(gain * |pred - gt|, 255)``.

    Raises:
        ValueError: If the images differ in size.
    """
    if pred.shape != gt.shape:
        raise InputError(f'the error of images of different size is not defined: {pred.shape} and {gt.shape}')
    return np.minimum(gain * np.abs(pred.astype(np.int32) - gt), 255).astype(np.uint8)


def depth_image(depth):
    """Draw depth (H, W) in grey, near dark and far bright, over its own range.

    Returns:
        tuple[ndarray, float, float]: uint8 (H, W, 3), and the depths that are black and white.
    """
    depth = np.asarray(depth, np.float32)
    low, high = float(depth.min()), float(depth.max())
    grey = np.rint((depth - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2), low, high


def _to_height(image, height):
    if image.shape[0] == height:
        return image
    width = max(round(image.shape[1] * height / image.shape[0]), 1)
    shrinking = height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


def _text_line(text, width, height, size=0.45):
    line = np.full((height, width, 3), 255, np.uint8)
    _write(line, text, 4, height - 7, (0, 0, 0), size)
    return line


def _wrap(text, width, size):
    """Break ``text`` at spaces into lines of at most ``width`` pixels where words allow."""
    lines = []
    for paragraph in text.split('\n'):
        line = ''
        for word in paragraph.split():
            longer = f'{line} {word}'.strip()
            if line and cv2.getTextSize(longer, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0] > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _wide(line, width):
    return np.pad(line, ((0, 0), (0, max(width - line.shape[1], 0)), (0, 0)), constant_values=255)


def _write(image, text, x, y, colour, size=0.45):
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
