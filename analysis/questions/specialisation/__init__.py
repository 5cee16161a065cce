"""How long do units stay alike before each finds its own?"""
