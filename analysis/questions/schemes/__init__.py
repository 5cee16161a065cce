"""Which random scheme, when?"""
