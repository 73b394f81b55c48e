"""What models learnt by gradient descent share: weights and chance, epochs chosen on validation, events in order."""
