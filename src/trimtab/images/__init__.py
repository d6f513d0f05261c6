"""What image automation needs, for both dialects: nothing of it is built yet."""
