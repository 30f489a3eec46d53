"""Run load() and predict() in a clean process before anything is deployed."""
