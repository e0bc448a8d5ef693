"""Everything that touches disks: images, lazy decoding, atomic writes, names of output files."""
