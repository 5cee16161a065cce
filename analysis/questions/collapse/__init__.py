"""Does noise bring units together?"""
