"""The meaning of label maps: pixel values, classes, regions, objects, and what is wrong with them."""
