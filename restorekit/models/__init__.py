"""Networks, restorers, losses and the preprocessor."""
