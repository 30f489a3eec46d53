"""SageMaker endpoints: what is asked for, what exists, and the way from one to the other."""
