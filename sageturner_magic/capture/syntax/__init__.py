"""What Python source says, read from its syntax tree; knows no live values."""
