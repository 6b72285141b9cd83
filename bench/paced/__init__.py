"""`python -m bench paced`: how many streams the model serves at the speed of speech."""
