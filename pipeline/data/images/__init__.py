"""One door for images: which paths are images, what they consist of, their names, headers and voxels."""
