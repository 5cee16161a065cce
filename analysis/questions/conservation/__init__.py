"""What does gradient flow conserve?"""
