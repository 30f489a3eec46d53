from tests.stand.fixtures import account, model_image, on_the_stand, push, stand

__all__ = ["account", "model_image", "on_the_stand", "push", "stand"]
