"""Do copies stay copies?"""
