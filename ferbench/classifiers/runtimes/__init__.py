"""Ways to execute a fitted classifier. The runtime is part of a pipeline's id: its cost depends on it a hundredfold."""
