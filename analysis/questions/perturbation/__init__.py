"""How small a push is enough?"""
