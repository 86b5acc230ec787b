"""Convolutional networks in Keras 3, on any backend (TensorFlow, JAX, PyTorch), as scikit-learn classifiers."""
