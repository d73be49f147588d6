"""Images and labels: sources, subsets, transforms, batches."""
