from tests.stand.fixtures import account, model_image, nothing_set_is_left, push, stand

__all__ = ["account", "model_image", "nothing_set_is_left", "push", "stand"]
