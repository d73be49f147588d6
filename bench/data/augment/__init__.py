"""Augmentations of single images beyond crop and flip, each a function of (seed, key)."""
