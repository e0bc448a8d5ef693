"""Pure tensor functions that several folders need."""
