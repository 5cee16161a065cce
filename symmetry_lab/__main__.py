"""``python -m symmetry_lab`` is the console command ``symmetry-lab``."""

from symmetry_lab.command import main

main()
