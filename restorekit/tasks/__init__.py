"""What a user does with restorekit: one file and one function per task; import them from ``restorekit`` itself."""
