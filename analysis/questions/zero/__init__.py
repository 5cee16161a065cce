"""What exactly happens from zero?"""
