"""What is shown, held once for everybody and kept fresh."""
