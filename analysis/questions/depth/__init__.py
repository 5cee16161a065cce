"""Does the argument survive depth?"""
