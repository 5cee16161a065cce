"""Predictions without a run.

gradient_check: the gradient of logistic regression. signal_moments: sizes of activations and deltas by layer (Glorot,
He). linear_modes: exact learning curves of linear networks (Saxe, Fukumizu). descent: logistic regression with two
weights. equal_linear: what linear networks cannot do from equal weights. committee: online learning from a teacher
(Saad and Solla). noisy_labels: how noise makes one unit vanish and two come together (Chen et al.).
"""
