"""Does logistic regression reach the global optimum from every start?"""
