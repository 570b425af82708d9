"""Stages in the making: their roots, their layers, the cache beside their steps, several at once."""
