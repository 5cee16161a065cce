"""How long is the plateau from a small start?"""
