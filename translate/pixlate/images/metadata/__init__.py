"""What a file says besides its pixels: read, corrected where translation makes it false, written."""
