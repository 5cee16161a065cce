"""Does arithmetic break symmetry?"""
