"""Is a symmetric network of width H worth one unit?"""
