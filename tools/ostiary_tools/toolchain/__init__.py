"""Compilers and programs that tests need, built or installed once into the cache of the user."""
