"""Latent variables and generative models for vision: the library that the book's chapters export."""

__version__ = "0.1.0"
