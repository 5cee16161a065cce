"""Which randomness breaks the symmetry?"""
