"""When does the symmetric solution attract?"""
