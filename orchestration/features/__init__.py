"""The 26 features, point in time: computed per view, joined for training, written to the online store."""
