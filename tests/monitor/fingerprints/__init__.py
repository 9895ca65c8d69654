"""What errors are taken for alike."""
