"""Vision Transformers over the feature map of a ResNet."""
